"use strict";
// The import of a file: its start goes to the server for the preview, and the whole file only when a person says so.

const box = document.getElementById("import");
const part = document.getElementById("import-part");
let number = 0; // of the newest request: the answer of an older one is not shown

function query() {
  const found = new URLSearchParams();
  const country = document.getElementById("country").value.trim().toUpperCase();
  if (country) found.set("country", country);
  for (const each of part.querySelectorAll("[data-choice]")) {
    if (!each.value) continue;
    if (each.dataset.parameter) found.append("parameter", `${each.dataset.parameter}=${each.value}`);
    else found.set("phone_column", each.value);
  }
  return found;
}

function send(path, body, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "blob";
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-Form-Token", box.dataset.token);
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Error("the connection is lost"));
    request.send(body);
  });
}

function note(text, isBad) {
  part.replaceChildren();
  const line = document.createElement("p");
  line.className = isBad ? "alert bad" : "alert";
  if (isBad) line.setAttribute("role", "alert");
  line.textContent = text;
  part.append(line);
  return line;
}

// A failure is a whole page. Its sentence is shown here, because the file would be lost by leaving.
async function failure(request) {
  const parsed = new DOMParser().parseFromString(await request.response.text(), "text/html");
  const sentence = parsed.querySelector("main p");
  note(sentence ? sentence.textContent.trim() : "The file was not imported. Load the page again, and repeat.", true);
}

async function preview(keepChoices) {
  const file = document.getElementById("file").files[0];
  if (!file) return;
  const own = ++number;
  const bytes = Number(box.dataset.previewBytes);
  const found = keepChoices ? query() : new URLSearchParams();
  const country = document.getElementById("country").value.trim().toUpperCase();
  if (country) found.set("country", country);
  if (file.size <= bytes) found.set("is_whole", "true");
  const focused = document.activeElement ? document.activeElement.id : "";
  try {
    const request = await send(`${box.dataset.action}/preview?${found}`, file.slice(0, bytes), () => {});
    if (own !== number) return;
    const text = await request.response.text();
    if (request.status !== 200 && text.includes("<!doctype html>")) await failure(request);
    else part.innerHTML = text;
    const field = focused && document.getElementById(focused);
    if (field) field.focus();
  } catch (error) {
    if (own === number) note(`The file was not read: ${error.message}. Choose it again.`, true);
  }
}

async function importFile() {
  const file = document.getElementById("file").files[0];
  const own = ++number;
  const found = query();
  const line = note("The file is imported: 0 %");
  const leave = (event) => event.preventDefault();
  window.addEventListener("beforeunload", leave);
  try {
    const request = await send(`${box.dataset.action}?${found}`, file, (loaded, total) => {
      line.textContent = `The file is imported: ${total ? Math.floor((100 * loaded) / total) : 100} %`;
    });
    if (request.status !== 200) await failure(request);
    else await result(request);
  } catch (error) {
    if (own === number) note(`Not every line was added: ${error.message}. Import the file again: nobody is added twice.`, true);
  } finally {
    window.removeEventListener("beforeunload", leave);
  }
}

async function result(request) {
  const bytes = Number(request.getResponseHeader("Import-Page-Bytes"));
  part.innerHTML = await request.response.slice(0, bytes).text();
  const link = part.querySelector("[data-refused]");
  if (link) link.href = URL.createObjectURL(request.response.slice(bytes));
  part.querySelector("[data-result]").focus();
}

if (box) {
  document.getElementById("file").addEventListener("change", () => preview(false));
  document.getElementById("country").addEventListener("change", () => preview(true));
  part.addEventListener("change", (event) => { if (event.target.matches("select[data-choice]")) preview(true); });
  part.addEventListener("click", (event) => {
    if (event.target.closest("[data-preview]")) preview(true);
    if (event.target.closest("[data-import]")) importFile();
  });
}

"use strict";
// What a server cannot know: the time zone of the reader, and whether the connection still lives.

const MINUTE = { hour: "2-digit", minute: "2-digit" };
const SECOND = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const DATE = { day: "numeric", month: "short" };

function localText(at, form) {
  const clock = at.toLocaleTimeString([], form === "second" ? SECOND : MINUTE);
  const isToday = at.toDateString() === new Date().toDateString();
  if (form === "date") return at.toLocaleDateString([], { ...DATE, year: "numeric" });
  return isToday ? clock : `${at.toLocaleDateString([], DATE)}, ${clock}`;
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent = localText(at, time.dataset.form);
  }
}

document.addEventListener("DOMContentLoaded", () => localTimes(document));

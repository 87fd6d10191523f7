"""The live page for people: server-rendered, without a build step, and without a request to any other host."""

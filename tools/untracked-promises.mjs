// Loaded into every test process before `node:test` is. Its runner follows each asynchronous resource, to know which test an
// error belongs to; to follow each promise as well makes tests that simulate take four times as long (measured, Node 24.21:
// src/log/failures.test.ts 5.9 s and 1.2 s of CPU). Timers and sockets are still followed; an error out of a lone promise
// fails its file instead of its test.
import hooks from "node:async_hooks";

const { createHook } = hooks;
hooks.createHook = (callbacks) => createHook({ ...callbacks, trackPromises: false });

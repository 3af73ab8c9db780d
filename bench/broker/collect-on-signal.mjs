// For `connections.ts`: collects garbage when asked, so that memory is what is held and not what is left over.
process.on("SIGUSR2", () => {
  globalThis.gc?.();
  globalThis.gc?.();
});

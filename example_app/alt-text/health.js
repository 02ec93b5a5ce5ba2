// The container's health check: exits 0 if the service answers.
const response = await fetch(`http://127.0.0.1:${process.env.PORT ?? 8080}/health`, {
  signal: AbortSignal.timeout(3000),
});
process.exit(response.ok ? 0 : 1);

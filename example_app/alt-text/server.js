// The HTTP side: POST /alt-text with an image, GET /health.
import { createServer } from 'node:http';
import { describe } from './describe.js';
import { UnreadableError } from './image.js';

const MAX_BODY = 10 * 1024 * 1024;
const port = Number(process.env.PORT ?? 8080);

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response, status, body) {
  const content = JSON.stringify(body);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(content) });
  response.end(content);
}

async function route(request, response) {
  const url = new URL(request.url, 'http://service');
  if (request.method === 'GET' && url.pathname === '/health') return answer(response, 200, { status: 'ok' });
  if (request.method !== 'POST' || url.pathname !== '/alt-text') {
    return answer(response, 404, { error: 'there are POST /alt-text and GET /health' });
  }
  const body = await read(request);
  if (body === null) {
    response.setHeader('Connection', 'close');
    return answer(response, 413, { error: `at most ${MAX_BODY} bytes` });
  }
  return answer(response, 200, await describe(body, url.searchParams.get('language') ?? 'eng'));
}

const server = createServer((request, response) => {
  route(request, response).catch((error) => {
    if (!(error instanceof UnreadableError)) console.error(error);
    if (response.headersSent) return response.destroy();
    const known = error instanceof UnreadableError;
    return answer(response, known ? 415 : 500, { error: known ? error.message : 'internal error' });
  });
});
server.requestTimeout = 15_000;
server.listen(port, () => console.log(`alt-text listens on ${server.address().port}`));

// What ECS sends first.
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});

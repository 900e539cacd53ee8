'use strict';
// A small HTTP server: readiness, request logs and a prompt stop.

const { randomUUID } = require('node:crypto');
const http = require('node:http');
const log = require('./log');

const MILLISECONDS_TO_FINISH = 700;
const LARGEST_BODY = 1 << 20;

/** An answer that is not a success: HTTP status, a stable code and a sentence for people. */
class Failure extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.body = { error: { code, message } };
  }
}

/**
 * Serves until SIGTERM. `handle(request, response, url)` answers or throws a Failure;
 * `ready()` rejects while the service cannot work.
 */
function run(handle, ready = async () => {}) {
  const server = http.createServer(async (request, response) => {
    const began = process.hrtime.bigint();
    const url = new URL(request.url, 'http://localhost');
    request.id = request.headers['x-request-id'] || randomUUID();
    response.setHeader('X-Request-Id', request.id);
    // Who keeps asking over an open connection would keep a server alive that stops.
    if (!server.listening) response.setHeader('Connection', 'close');
    try {
      await (url.pathname === '/healthz' ? health(ready, response) : handle(request, response, url));
    } catch (problem) {
      fail(problem, request, response);
    }
    if (url.pathname === '/healthz') return;
    const ms = Number(process.hrtime.bigint() - began) / 1e6;
    log.info('request', {
      method: request.method,
      path: url.pathname,
      status: response.statusCode,
      ms: Math.round(ms * 10) / 10,
      requestId: request.id,
    });
  });
  server.listen(Number(process.env.PORT || 8080), () => {
    log.info('listening', { port: server.address().port, startMs: Math.round(process.uptime() * 1000) });
  });
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop(server));
  return server;
}

function stop(server) {
  const end = () => {
    log.info('stopped');
    process.exit(0);
  };
  server.close(end);
  server.closeIdleConnections();
  setTimeout(end, MILLISECONDS_TO_FINISH).unref();
}

async function health(ready, response) {
  try {
    await ready();
    json(response, 200, { status: 'ok' });
  } catch (problem) {
    log.warn('not ready', { error: problem.message });
    json(response, 503, { status: 'unavailable', reason: problem.message });
  }
}

function fail(problem, request, response) {
  if (!(problem instanceof Failure)) {
    log.error('request failed', { requestId: request.id, path: request.url, error: problem.stack });
    problem = new Failure(500, 'internal', 'Something went wrong.');
  }
  if (response.headersSent) response.destroy();
  else json(response, problem.status, problem.body);
}

function json(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new Failure(413, 'body_too_large', 'The body is larger than 1 MiB.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

module.exports = { Failure, json, readBody, run };

'use strict';
// Hands a request to a service and streams the answer back.

const http = require('node:http');
const { pipeline } = require('node:stream');
const { Failure } = require('./kit/server');

const MILLISECONDS_TO_WAIT = Number(process.env.UPSTREAM_TIMEOUT_MS || 8000);
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te', 'trailer']);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

function endToEnd(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

function forward(request, response, target) {
  return new Promise((resolve, reject) => {
    const headers = { ...endToEnd(request.headers), host: target.host, 'x-request-id': request.id };
    const deadline = AbortSignal.timeout(MILLISECONDS_TO_WAIT);
    const upstream = http.request(target, { method: request.method, headers, agent, signal: deadline });
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode, endToEnd(answer.headers));
      pipeline(answer, response, (problem) => (problem ? reject(problem) : resolve()));
    });
    upstream.on('error', (problem) => {
      reject(deadline.aborted
        ? new Failure(504, 'upstream_timeout', `${target.host} did not answer in ${MILLISECONDS_TO_WAIT} ms.`)
        : new Failure(502, 'upstream_unavailable', `${target.host} does not answer: ${problem.code}`));
    });
    request.pipe(upstream);
  });
}

module.exports = { forward };

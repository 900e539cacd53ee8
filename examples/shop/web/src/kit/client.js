'use strict';
// Calls another service: JSON in, {status, body} out, the request id passed on.

const { Failure } = require('./server');

const MILLISECONDS_TO_WAIT = 5000;

/** Answers of every status are returned; only a service that cannot be reached throws. */
async function call(method, url, requestId, body) {
  try {
    const response = await fetch(url, {
      method,
      headers: { 'Content-Type': 'application/json', 'X-Request-Id': requestId },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(MILLISECONDS_TO_WAIT),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  } catch (problem) {
    const reason = problem.cause?.code || problem.message;
    throw new Failure(502, 'upstream_unavailable', `${new URL(url).host} does not answer: ${reason}`);
  }
}

module.exports = { call };

'use strict';
// The one door to the shop's API: finds the service, forwards the request, reports who is healthy.

const { Failure, json, run } = require('./kit/server');
const { forward } = require('./proxy');
const { ROUTES, routeOf } = require('./routes');

const MILLISECONDS_FOR_HEALTH = 2000;

async function handle(request, response, url) {
  if (url.pathname === '/api/health') return reportHealth(response);
  const match = routeOf(url.pathname);
  if (!match) throw new Failure(404, 'no_such_path', `There is nothing at ${url.pathname}.`);
  const { methods } = match.route;
  if (methods && !methods.includes(request.method)) {
    throw new Failure(405, 'method_not_allowed', `Use ${methods.join(' or ')}.`);
  }
  return forward(request, response, new URL(match.path + url.search, match.route.url));
}

async function reportHealth(response) {
  const checks = ROUTES.map(async ({ url }) => [new URL(url).hostname, await statusOf(url)]);
  const services = Object.fromEntries(await Promise.all(checks));
  const healthy = Object.values(services).every((status) => status === 'ok');
  json(response, healthy ? 200 : 503, { status: healthy ? 'ok' : 'degraded', services });
}

async function statusOf(url) {
  try {
    const response = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(MILLISECONDS_FOR_HEALTH) });
    return (await response.json()).status;
  } catch {
    return 'unreachable';
  }
}

// Ready as soon as it listens: one service that is down must not take away the others.
run(handle);

'use strict';
// The web page: rendered here, usable without JavaScript, its data from the gateway.

const fs = require('node:fs/promises');
const path = require('node:path');
const { Failure, readBody, run } = require('./kit/server');
const { CARDS, page } = require('./page');
const { contents, placeOrder } = require('./shop');

const PUBLIC = path.join(__dirname, '..', 'public');
const STATIC = /^\/static\/((?:[\w-]+\/)?[\w-]+\.(css|js|svg))$/;
const TYPES = { css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8', svg: 'image/svg+xml' };

async function handle(request, response, url) {
  if (request.method === 'POST' && url.pathname === '/order') return order(request, response);
  if (request.method !== 'GET') throw new Failure(405, 'method_not_allowed', 'Use GET.');
  if (url.pathname === '/') return showPage(request, response, url);
  const file = STATIC.exec(url.pathname);
  if (file) return sendFile(response, file[1], TYPES[file[2]]);
  throw new Failure(404, 'no_such_path', `There is nothing at ${url.pathname}.`);
}

async function showPage(request, response, url) {
  const given = Object.fromEntries(url.searchParams);
  const notice = (given.order || given.refused) && given;
  const document = page({ ...(await contents(request.id)), shopper: given.userId, card: given.card, notice });
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' });
  response.end(document.toString());
}

async function order(request, response) {
  const form = new URLSearchParams((await readBody(request)).toString());
  const userId = Number(form.get('userId'));
  const card = form.get('card') || CARDS[0].number;
  const skus = (form.get('skus') || '').split(',').filter(Boolean);
  const outcome = await placeOrder({ userId, card, skus }, request.id);
  // A redirect, so that reloading the page does not order again.
  response.writeHead(303, { Location: `/?${new URLSearchParams({ ...outcome, userId, card })}` });
  response.end();
}

// Read at every request: an edited file is visible with the next reload.
async function sendFile(response, name, type) {
  let content;
  try {
    content = await fs.readFile(path.join(PUBLIC, name));
  } catch {
    throw new Failure(404, 'no_such_file', `There is no file ${name}.`);
  }
  response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-cache' });
  response.end(content);
}

run(handle);

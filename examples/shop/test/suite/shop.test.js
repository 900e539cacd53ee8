'use strict';

const assert = require('node:assert/strict');
const { before, test } = require('node:test');
const { WEB_URL, api, available, healthyShop, newUser, onSale, unique } = require('./api');

const DECLINED_CARD = '4000000000000002';

before(healthyShop);

test('every service behind the gateway is healthy', async () => {
  const { status, body } = await api.get('/api/health');
  assert.equal(status, 200);
  assert.deepEqual([...new Set(Object.values(body.services))], ['ok']);
  assert.equal(Object.keys(body.services).length, 6);
});

test('the gateway passes the request id on and names unknown paths', async () => {
  const { status, headers, body } = await api.get('/api/nothing', { 'X-Request-Id': 'id-of-the-test' });
  assert.equal(status, 404);
  assert.equal(body.error.code, 'no_such_path');
  assert.equal(headers.get('x-request-id'), 'id-of-the-test');
  const forwarded = await api.get('/api/users', { 'X-Request-Id': 'id-of-the-test' });
  assert.equal(forwarded.headers.get('x-request-id'), 'id-of-the-test');
});

test('a product put into the catalog is listed, changed and taken away', async (t) => {
  const sku = await onSale(t, { priceCents: 1500 });
  const listed = (await api.get('/api/products')).body.products.find((product) => product.sku === sku);
  assert.equal(listed.priceCents, 1500);

  await api.put(`/api/products/${sku}`, { name: 'Changed', priceCents: 1600 });
  assert.equal((await api.get(`/api/products/${sku}`)).body.priceCents, 1600);

  await api.delete(`/api/products/${sku}`);
  assert.equal((await api.get(`/api/products/${sku}`)).status, 404);
});

test('a product that makes no sense is refused', async () => {
  const { status, body } = await api.put('/api/products/test-wrong', { name: '', priceCents: -1 });
  assert.equal(status, 422);
  assert.deepEqual(Object.keys(body.error.fields).sort(), ['name', 'priceCents']);
});

test('a user is created, found and not created twice', async (t) => {
  const user = await newUser(t);
  assert.equal((await api.get(`/api/users/${user.id}`)).body.email, user.email);
  const again = await api.post('/api/users', { name: 'Somebody', email: user.email });
  assert.equal(again.status, 409);
  assert.equal(again.body.error.code, 'email_taken');
});

test('a user without a name or a real address is refused', async () => {
  const { status, body } = await api.post('/api/users', { name: ' ', email: 'nowhere' });
  assert.equal(status, 422);
  assert.deepEqual(Object.keys(body.error.fields).sort(), ['email', 'name']);
});

test('a body that is not JSON is refused', async () => {
  const { status, body } = await api.post('/api/users', 'not json');
  assert.equal(status, 400);
  assert.equal(body.error.code, 'bad_json');
});

test('an order takes stock, is paid and can be read again', async (t) => {
  const [user, sku] = [await newUser(t), await onSale(t, { quantity: 5, priceCents: 1500 })];
  const placed = await api.post('/api/orders', { userId: user.id, items: [{ sku, quantity: 2 }] });
  assert.equal(placed.status, 201);
  assert.equal(placed.body.status, 'paid');
  assert.equal(placed.body.totalCents, 3000);
  assert.equal(await available(sku), 3);

  assert.deepEqual((await api.get(`/api/orders/${placed.body.id}`)).body, placed.body);
  const recent = (await api.get('/api/orders?limit=50')).body.orders;
  assert.ok(recent.some((order) => order.id === placed.body.id));

  const { payments } = (await api.get(`/api/payments?orderId=${placed.body.id}`)).body;
  assert.deepEqual(payments.map(({ status, amountCents }) => [status, amountCents]), [['approved', 3000]]);
});

test('what is out of stock cannot be ordered, and nothing of the order is taken', async (t) => {
  const [user, plenty, scarce] = [await newUser(t), await onSale(t, { quantity: 9 }), await onSale(t, { quantity: 1 })];
  const items = [{ sku: plenty, quantity: 2 }, { sku: scarce, quantity: 2 }];
  const refused = await api.post('/api/orders', { userId: user.id, items });
  assert.equal(refused.status, 409);
  assert.equal(refused.body.error.code, 'out_of_stock');
  assert.deepEqual([await available(plenty), await available(scarce)], [9, 1]);
});

test('many buyers at once never get more than there is', async (t) => {
  const [user, sku] = [await newUser(t), await onSale(t, { quantity: 5 })];
  const order = { userId: user.id, items: [{ sku, quantity: 1 }] };
  const answers = await Promise.all(Array.from({ length: 12 }, () => api.post('/api/orders', order)));
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [...Array(5).fill(201), ...Array(7).fill(409)]);
  assert.equal(await available(sku), 0);
});

test('a declined card gives the stock back', async (t) => {
  const [user, sku] = [await newUser(t), await onSale(t, { quantity: 4 })];
  const order = { userId: user.id, card: DECLINED_CARD, items: [{ sku, quantity: 3 }] };
  const declined = await api.post('/api/orders', order);
  assert.equal(declined.status, 402);
  assert.equal(declined.body.error.code, 'payment_declined');
  assert.equal(declined.body.error.reason, 'card_declined');
  assert.equal(await available(sku), 4);
});

test('an amount over the limit is declined', async (t) => {
  const [user, sku] = [await newUser(t), await onSale(t, { priceCents: 60_000 })];
  const declined = await api.post('/api/orders', { userId: user.id, items: [{ sku, quantity: 2 }] });
  assert.equal(declined.body.error.reason, 'amount_over_limit');
  assert.equal(await available(sku), 10);
});

test('an order of an unknown user or product is refused', async (t) => {
  const [user, sku] = [await newUser(t), await onSale(t)];
  const nobody = await api.post('/api/orders', { userId: 999_999_999, items: [{ sku, quantity: 1 }] });
  assert.deepEqual([nobody.status, nobody.body.error.code], [422, 'no_such_user']);
  const nothing = await api.post('/api/orders', { userId: user.id, items: [{ sku: unique('gone'), quantity: 1 }] });
  assert.deepEqual([nothing.status, nothing.body.error.code], [422, 'no_such_product']);
});

test('payments cannot be made from outside', async () => {
  assert.equal((await api.post('/api/payments', {})).status, 405);
});

test('things ordered together are recommended with each other', async (t) => {
  const [user, first, second] = [await newUser(t), await onSale(t), await onSale(t)];
  assert.deepEqual((await api.get(`/api/recommendations/${first}`)).body.boughtTogether, []);
  const items = [{ sku: first, quantity: 1 }, { sku: second, quantity: 1 }];
  assert.equal((await api.post('/api/orders', { userId: user.id, items })).status, 201);
  assert.deepEqual((await api.get(`/api/recommendations/${first}`)).body.boughtTogether, [{ sku: second, orders: 1 }]);
});

test('the web page takes an order without JavaScript and shows it', async (t) => {
  const [user, sku] = [await newUser(t), await onSale(t, { quantity: 1 })];
  const form = new URLSearchParams({ userId: user.id, card: '4242424242424242', skus: sku });
  const posted = await fetch(`${WEB_URL}/order`, { method: 'POST', body: form, redirect: 'manual' });
  assert.equal(posted.status, 303);
  const page = await (await fetch(new URL(posted.headers.get('location'), WEB_URL))).text();
  const id = /Your order <b>(o-[0-9a-f]+)<\/b>/.exec(page)?.[1];
  assert.ok(id, 'the page names the order');
  assert.ok(page.includes(`data-order="${id}"`), 'the order is among the recent ones');
  assert.ok(page.includes('Sold out'), 'the last piece is gone');
});

test('the web page serves its files and nothing else', async () => {
  const style = await fetch(`${WEB_URL}/static/style.css`);
  assert.equal(style.headers.get('content-type'), 'text/css; charset=utf-8');
  const outside = await fetch(`${WEB_URL}/static/..%2fsrc%2fapp.js`);
  assert.equal(outside.status, 404);
});

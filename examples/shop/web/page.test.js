'use strict';
const assert = require('node:assert/strict');
const test = require('node:test');
const { html } = require('./src/html');
const { page } = require('./src/page');

const shown = (changes) => page({
  products: [{ sku: 'mug', name: 'Mug', description: 'Hot.', priceCents: 1800 }],
  stock: [{ sku: 'mug', available: 3 }],
  users: [{ id: 1, name: 'Ada' }],
  orders: [],
  pairs: [],
  troubles: [],
  ...changes,
}).toString();

test('text is escaped, nested markup is not', () => {
  assert.equal(html`<p>${'<b>&"'}${[html`<i>${1}</i>`]}${false}</p>`.toString(), '<p>&lt;b&gt;&amp;&quot;<i>1</i></p>');
});

test('a product shows its price, its stock and a button', () => {
  const text = shown();
  assert.match(text, /€ 18\.00/);
  assert.match(text, /3 left/);
  assert.match(text, /<button form="checkout" name="skus" value="mug" >Order</);
});

test('what is sold out cannot be ordered', () => {
  assert.match(shown({ stock: [{ sku: 'mug', available: 0 }] }), /value="mug" disabled>Sold out/);
});

test('an order is listed with its buyer', () => {
  const order = { id: 'o-1', userId: 1, status: 'paid', totalCents: 3600, createdAt: '2026-01-02T03:04:05Z', items: [{ quantity: 2, name: 'Mug' }] };
  const text = shown({ orders: [order] });
  assert.match(text, /data-order="o-1"/);
  assert.match(text, /2 × Mug/);
});

test('a pair with a product that is gone is not offered', () => {
  assert.doesNotMatch(shown({ pairs: [{ skus: ['gone', 'mug'], orders: 2 }] }), /gone/);
});

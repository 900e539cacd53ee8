'use strict';
// The shop's one page.

const { html } = require('./html');

const CARDS = [
  { number: '4242424242424242', name: 'Card ending in 4242' },
  { number: '4000000000000002', name: 'Card ending in 0002 (is declined)' },
];
const DRAWINGS = new Set(['backpack', 'chair', 'headphones', 'keyboard', 'lamp', 'mug', 'notebook', 'plant']);
const FEW_LEFT = 5;

const REFUSALS = {
  out_of_stock: 'Somebody was faster: there is not enough of it left. Nothing was charged.',
  payment_declined: 'The payment was declined. The stock was given back.',
};

function price(cents) {
  return `€ ${(cents / 100).toFixed(2)}`;
}

function drawing(sku) {
  return `/static/products/${DRAWINGS.has(sku) ? sku : 'parcel'}.svg`;
}

function page({ products, stock, users, orders, pairs, troubles, shopper, card, notice }) {
  const bySku = new Map(products.map((product) => [product.sku, product]));
  const names = new Map(users.map((user) => [user.id, user.name]));
  const left = new Map(stock.map((level) => [level.sku, level.available]));
  const knownPairs = pairs.filter(({ skus }) => skus.every((sku) => bySku.has(sku)));
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>The Desk Shop</title>
  <link rel="stylesheet" href="/static/style.css">
  <link rel="icon" href="/static/products/mug.svg">
  <script src="/static/shop.js" defer></script>
</head>
<body>
  <header class="top">
    <a class="brand" href="/"><img src="/static/products/lamp.svg" alt="" width="36" height="36"> The Desk Shop</a>
    <form id="checkout" class="checkout" method="post" action="/order">
      <label>Ordering as <select name="userId">${users.map((user) => option(user.id, user.name, shopper))}</select></label>
      <label>paying with <select name="card">${CARDS.map(({ number, name }) => option(number, name, card))}</select></label>
    </form>
  </header>
  <main>
    ${notice && noticeBox(notice)}
    ${troubles.map((trouble) => html`<p class="notice trouble" role="alert">${trouble}</p>`)}
    <section>
      <h1>Things for a good desk</h1>
      <ul class="products">${products.map((product) => productCard(product, left.get(product.sku)))}</ul>
    </section>
    <div class="columns">
      <section>
        <h2>Recent orders</h2>
        ${orders.length ? orderTable(orders, names) : html`<p class="quiet">No orders so far. Yours could be the first.</p>`}
      </section>
      <section>
        <h2>Often bought together</h2>
        ${knownPairs.length ? html`<ul class="pairs">${knownPairs.map((pair) => pairCard(pair, bySku))}</ul>`
          : html`<p class="quiet">Appears with the first order of two different things.</p>
            ${products.length > 1 && html`<ul class="pairs">${pairCard({ skus: starterPair(bySku), orders: 0 }, bySku)}</ul>`}`}
      </section>
    </div>
  </main>
  <footer>Eight services, one database, one cache. Every order checks stock, takes a payment and writes its rows.</footer>
</body>
</html>
`;
}

function option(value, text, selected) {
  return String(value) === String(selected)
    ? html`<option value="${value}" selected>${text}</option>`
    : html`<option value="${value}">${text}</option>`;
}

function noticeBox({ order, refused }) {
  if (order) return html`<p class="notice success" role="status">Thank you! Your order <b>${order}</b> is on its way.</p>`;
  return html`<p class="notice trouble" role="alert">${REFUSALS[refused] || 'The order could not be placed.'}</p>`;
}

function productCard({ sku, name, description, priceCents }, available) {
  const soldOut = available === 0;
  return html`<li class="product" data-sku="${sku}">
    <img src="${drawing(sku)}" alt="" width="320" height="200" loading="lazy">
    <div class="about"><h3>${name}</h3><p>${description}</p></div>
    <div class="buy">
      <span class="price">${price(priceCents)}</span>
      ${stockBadge(available)}
      <button form="checkout" name="skus" value="${sku}" ${soldOut && 'disabled'}>${soldOut ? 'Sold out' : 'Order'}</button>
    </div>
  </li>`;
}

function stockBadge(available) {
  if (available === undefined) return html`<span class="stock">? left</span>`;
  if (available === 0) return html`<span class="stock"></span>`;
  return html`<span class="stock ${available <= FEW_LEFT && 'few'}">${available} left</span>`;
}

function orderTable(orders, names) {
  return html`<table class="orders">
    <thead><tr><th>When</th><th>Who</th><th>What</th><th class="number">Total</th><th></th></tr></thead>
    <tbody>${orders.map((order) => html`<tr data-order="${order.id}">
      <td><time datetime="${order.createdAt}">${order.createdAt.slice(11, 19)}</time></td>
      <td>${names.get(order.userId) || `User ${order.userId}`}</td>
      <td>${order.items.map(({ quantity, name }) => `${quantity} × ${name}`).join(', ')}</td>
      <td class="number">${price(order.totalCents)}</td>
      <td><span class="status ${order.status}">${order.status}</span></td>
    </tr>`)}</tbody>
  </table>`;
}

function starterPair(bySku) {
  const preferred = ['mug', 'notebook'].filter((sku) => bySku.has(sku));
  return preferred.length === 2 ? preferred : [...bySku.keys()].slice(0, 2);
}

function pairCard({ skus, orders }, bySku) {
  const [first, second] = skus.map((sku) => bySku.get(sku));
  return html`<li class="pair">
    <img src="${drawing(first.sku)}" alt="" width="56" height="35"><img src="${drawing(second.sku)}" alt="" width="56" height="35">
    <div><b>${first.name} + ${second.name}</b>
      <span>${price(first.priceCents + second.priceCents)}${orders > 0 && ` · ${orders} ${orders === 1 ? 'order' : 'orders'}`}</span></div>
    <button form="checkout" name="skus" value="${skus.join(',')}">Order</button>
  </li>`;
}

module.exports = { CARDS, page };

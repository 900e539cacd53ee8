'use strict';
// Which service answers which path of the API.

const upstream = (name, fallback) => process.env[name] || fallback;

const ROUTES = [
  { prefix: '/api/products', path: '/products', url: upstream('CATALOG_URL', 'http://catalog:8080') },
  { prefix: '/api/stock', path: '/stock', url: upstream('INVENTORY_URL', 'http://inventory:8080') },
  { prefix: '/api/orders', path: '/orders', url: upstream('ORDER_URL', 'http://order:8080') },
  { prefix: '/api/users', path: '/users', url: upstream('USER_URL', 'http://user:8080') },
  // Payments are taken by the order service only; from outside they can be read.
  { prefix: '/api/payments', path: '/payments', url: upstream('PAYMENT_URL', 'http://payment:8080'), methods: ['GET'] },
  {
    prefix: '/api/recommendations',
    path: '/recommendations',
    url: upstream('RECOMMENDATION_URL', 'http://recommendation-api:8080'),
  },
];

/** Returns the route of an API path and the path at its service, or null. */
function routeOf(pathname) {
  for (const route of ROUTES) {
    if (pathname === route.prefix || pathname.startsWith(`${route.prefix}/`)) {
      return { route, path: route.path + pathname.slice(route.prefix.length) };
    }
  }
  return null;
}

module.exports = { ROUTES, routeOf };

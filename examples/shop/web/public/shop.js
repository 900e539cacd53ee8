// Orders without leaving the page. Without this script the same form works by itself.
'use strict';

function show(documentText, address) {
  const fresh = new DOMParser().parseFromString(documentText, 'text/html');
  document.querySelector('main').replaceWith(fresh.querySelector('main'));
  history.replaceState(null, '', address);
}

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (form.id !== 'checkout' || !event.submitter) return;
  event.preventDefault();
  const button = event.submitter;
  const body = new URLSearchParams(new FormData(form));
  body.set(button.name, button.value);
  button.disabled = true;
  try {
    const response = await fetch(form.action, { method: 'POST', body });
    show(await response.text(), response.url);
    window.scrollTo({ top: 0, behavior: 'smooth' });
  } catch {
    button.disabled = false;
  }
});

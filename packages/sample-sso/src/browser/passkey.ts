import { startAuthentication, startRegistration } from '@simplewebauthn/browser';

/** Sends a form with what the browser's passkey dialog returned: a new passkey, or the proof of one. */
const form = document.querySelector<HTMLFormElement>('form[data-passkey-options]');
form?.addEventListener('submit', (event) => {
  event.preventDefault();
  void ask(form);
});

async function ask(form: HTMLFormElement): Promise<void> {
  const button = form.querySelector('button');
  const status = form.querySelector('[role=status]');
  const say = (text: string) => {
    if (status) status.textContent = text;
  };
  if (button) button.disabled = true;
  say('Waiting for your passkey…');
  try {
    // Written into the page by this site's own server.
    const optionsJSON = JSON.parse(form.dataset.passkeyOptions ?? '');
    const credential =
      form.dataset.passkeyAction === 'register'
        ? await startRegistration({ optionsJSON })
        : await startAuthentication({ optionsJSON });
    const field = form.elements.namedItem('credential');
    if (field instanceof HTMLInputElement) field.value = JSON.stringify(credential);
    form.submit();
  } catch {
    if (button) button.disabled = false;
    say('No passkey was used. Try again.');
  }
}

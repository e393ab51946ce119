import { AttestError, attest } from '@countersign/sso-sdk';

/** Lets the device prove itself when the person submits the form, then sends the form with the evidence. */
const form = document.querySelector<HTMLFormElement>('form[data-broker-url]');
form?.addEventListener('submit', (event) => {
  event.preventDefault();
  void signIn(form);
});

async function signIn(form: HTMLFormElement): Promise<void> {
  const { brokerUrl = '', clientId = '', transaction = '' } = form.dataset;
  const button = form.querySelector('button');
  const status = form.querySelector('[role=status]');
  if (button) button.disabled = true;
  if (status) status.textContent = 'Checking this device…';
  try {
    const { evidence } = await attest({ brokerUrl, clientId, transaction });
    fill(form, 'evidence', evidence);
  } catch (error) {
    // Without a challenge there is no evidence; the broker decides on that as well.
    fill(form, 'attest_error', error instanceof AttestError ? error.code : 'internal_error');
  }
  form.submit();
}

function fill(form: HTMLFormElement, name: string, value: string): void {
  const field = form.elements.namedItem(name);
  if (field instanceof HTMLInputElement) field.value = value;
}

// A page that comes back out of the browser's memory shows a transaction that is spent.
window.addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload();
});

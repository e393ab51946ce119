/**
 * Renders icon.svg into ../public/icon/<size>.png with a Chromium. Run by hand after a change of the picture:
 * node artwork/render-icons.mjs /usr/bin/chromium
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sizes = [16, 32, 48, 128];
const folder = fileURLToPath(new URL('.', import.meta.url));
const chromium = process.argv[2] ?? 'chromium';
const picture = readFileSync(join(folder, 'icon.svg')).toString('base64');
const scratch = mkdtempSync(join(tmpdir(), 'countersign-icons-'));

/** Draws the picture on a canvas and leaves the PNG as the page's only text, where `--dump-dom` shows it. */
const pageFor = (size) => `<body><script>
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = ${size};
    canvas.getContext('2d').drawImage(image, 0, 0, ${size}, ${size});
    document.body.textContent = canvas.toDataURL('image/png');
  };
  image.src = 'data:image/svg+xml;base64,${picture}';
</script>`;

try {
  for (const size of sizes) {
    const page = join(scratch, `${size}.html`);
    writeFileSync(page, pageFor(size));
    const dom = execFileSync(
      chromium,
      [
        '--headless=new',
        '--no-sandbox',
        '--disable-background-networking',
        '--no-first-run',
        '--virtual-time-budget=5000',
        `--user-data-dir=${join(scratch, 'profile')}`,
        '--dump-dom',
        `file://${page}`,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const [, png] = /data:image\/png;base64,([A-Za-z0-9+/=]+)/.exec(dom) ?? [];
    if (png === undefined) throw new Error(`no picture of size ${size}`);
    writeFileSync(join(folder, '..', 'public', 'icon', `${size}.png`), Buffer.from(png, 'base64'));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

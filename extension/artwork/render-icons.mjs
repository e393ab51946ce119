/**
 * Renders icon.svg into ../public/icon/<size>.png, and icon-off.svg into ../public/toolbar/off-<size>.png, with a
 * Chromium. Run by hand after a change of a picture: node artwork/render-icons.mjs /usr/bin/chromium
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const pictures = [
  { drawing: 'icon.svg', sizes: [16, 32, 48, 128], target: (size) => `icon/${size}.png` },
  // What the button in the toolbar shows while the device cannot prove itself.
  { drawing: 'icon-off.svg', sizes: [16, 32], target: (size) => `toolbar/off-${size}.png` },
];
const folder = fileURLToPath(new URL('.', import.meta.url));
const chromium = process.argv[2] ?? 'chromium';
const scratch = mkdtempSync(join(tmpdir(), 'countersign-icons-'));

/** Draws the picture on a canvas and leaves the PNG as the page's only text, where `--dump-dom` shows it. */
const pageFor = (drawing, size) => `<body><script>
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = ${size};
    canvas.getContext('2d').drawImage(image, 0, 0, ${size}, ${size});
    document.body.textContent = canvas.toDataURL('image/png');
  };
  image.src = 'data:image/svg+xml;base64,${readFileSync(join(folder, drawing)).toString('base64')}';
</script>`;

try {
  for (const { drawing, sizes, target } of pictures) {
    for (const size of sizes) render(drawing, size, join(folder, '..', 'public', target(size)));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function render(drawing, size, target) {
  const page = join(scratch, `${size}.html`);
  writeFileSync(page, pageFor(drawing, size));
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
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, Buffer.from(png, 'base64'));
}

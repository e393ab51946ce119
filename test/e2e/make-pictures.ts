/**
 * Makes the pictures of the popup in docs/pictures, from what the real extension shows in a real browser:
 * node test/e2e/make-pictures.ts (as root, like the tests of this folder). With a folder as argument it takes the
 * screenshots that are there.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import * as z from 'zod/mini';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const target = join(repository, 'docs', 'pictures');
/** Pixels for one of the page. */
const scale = 2;
const maxBytes = 60_000;
/** Enough for flat colours and the edges of letters. At most 256. */
const colors = 64;

/** Each with its states from left to right, as the tests call them. */
const pictures = {
  'popup-ready.png': ['ready-light', 'ready-dark'],
  'popup-not-trusted.png': ['host_not_installed-light', 'certificate_expired-dark'],
} as const;

function takeScreenshots(folder: string): void {
  const { status } = spawnSync(
    'pnpm',
    ['exec', 'vitest', 'run', '--project', 'e2e', 'test/e2e/popup.test.ts'],
    {
      cwd: repository,
      stdio: 'inherit',
      env: {
        ...process.env,
        COUNTERSIGN_SCREENSHOTS: folder,
        COUNTERSIGN_PICTURE_SCALE: String(scale),
      },
    },
  );
  if (status !== 0) throw new Error('the popup is not as its tests want it');
}

const indexedPicture = z.object({
  width: z.number(),
  height: z.number(),
  /** Red, green, blue and opacity, 0 to 255. */
  palette: z.array(z.array(z.number())),
  /** Base64: a byte for each pixel, row by row. */
  indexes: z.string(),
});
type IndexedPicture = z.infer<typeof indexedPicture>;

/** Lays screenshots side by side on nothing, with round corners, and counts their colours, in the browser. */
async function compose(files: readonly string[]): Promise<IndexedPicture> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    chromiumSandbox: process.getuid?.() !== 0,
  });
  try {
    const page = await browser.newPage();
    const images = files.map((file) => readFileSync(file).toString('base64'));
    return indexedPicture.parse(await page.evaluate(composeInPage, { images, scale, colors }));
  } finally {
    await browser.close();
  }
}

/** Runs in the page. */
async function composeInPage({
  images,
  scale,
  colors,
}: {
  readonly images: readonly string[];
  readonly scale: number;
  readonly colors: number;
}) {
  const loaded = await Promise.all(
    images.map(async (base64) => {
      const image = new Image();
      image.src = `data:image/png;base64,${base64}`;
      await image.decode();
      return image;
    }),
  );
  const gap = 20 * scale;
  const canvas = document.createElement('canvas');
  canvas.width = loaded.reduce((sum, { width }) => sum + width, gap * (loaded.length - 1));
  canvas.height = Math.max(...loaded.map(({ height }) => height));
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('no canvas');
  let left = 0;
  for (const image of loaded) {
    context.save();
    context.beginPath();
    context.roundRect(left + 1, 1, image.width - 2, image.height - 2, 12 * scale);
    context.clip();
    context.drawImage(image, left, 0);
    context.restore();
    // A line that is seen on white and on black.
    context.lineWidth = scale;
    context.strokeStyle = '#8a939c';
    context.stroke();
    left += image.width + gap;
  }
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint32Array(data.buffer);
  const counts = new Map<number, number>();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const channels = (pixel: number) => [0, 8, 16, 24].map((shift) => (pixel >>> shift) & 255);
  const byCount = [...counts].sort(([, a], [, b]) => b - a).map(([pixel]) => pixel);
  const palette = byCount.slice(0, colors).map(channels);
  // Colours beyond the most frequent, all of them at the edges of letters, become the one next to them.
  const indexOf = new Map<number, number>();
  for (const [rank, pixel] of byCount.entries()) {
    const wanted = channels(pixel);
    const distances = palette.map((color) =>
      color.reduce((sum, value, channel) => sum + (value - (wanted[channel] ?? 0)) ** 2, 0),
    );
    indexOf.set(pixel, rank < colors ? rank : distances.indexOf(Math.min(...distances)));
  }
  let indexes = '';
  for (const pixel of pixels) indexes += String.fromCharCode(indexOf.get(pixel) ?? 0);
  return { width, height, palette, indexes: btoa(indexes) };
}

/** PNG with a palette (RFC 2083): 8 bits a pixel, no filter, which suits flat colours. */
function encodePng({ width, height, palette, indexes }: IndexedPicture): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const pixels = Buffer.from(indexes, 'base64');
  const rows = Array.from({ length: height }, (_, row) =>
    Buffer.concat([Buffer.from([0]), pixels.subarray(row * width, (row + 1) * width)]),
  );
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(palette.flatMap((color) => color.slice(0, 3)))),
    chunk('tRNS', Buffer.from(palette.map((color) => color[3] ?? 255))),
    chunk('IDAT', deflateSync(Buffer.concat(rows), { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

const [given] = process.argv.slice(2);
const folder = given ?? mkdtempSync(join(tmpdir(), 'countersign-pictures-'));
try {
  if (given === undefined) takeScreenshots(folder);
  mkdirSync(target, { recursive: true });
  for (const [name, states] of Object.entries(pictures)) {
    const png = encodePng(await compose(states.map((state) => join(folder, `${state}.png`))));
    if (png.length > maxBytes) throw new Error(`${name} has ${png.length} bytes`);
    writeFileSync(join(target, name), png);
    console.log(`docs/pictures/${name}: ${png.length} bytes`);
  }
} finally {
  if (given === undefined) rmSync(folder, { recursive: true });
}

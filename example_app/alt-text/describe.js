// From an image to a sentence: its own description if it has one, else its kind, shape and the text that it shows.
import { spawn } from 'node:child_process';
import { inspect } from './image.js';

const OCR_MILLISECONDS = 20_000;
const MAX_TEXT = 200;

export async function describe(bytes, language) {
  const image = inspect(bytes);
  const text = await recognise(bytes, language);
  return { alt: sentence(image, text), ...image, text };
}

export function sentence(image, text) {
  if (image.description) return image.description;
  const shape = image.width > image.height * 1.05 ? 'Wide' : image.height > image.width * 1.05 ? 'Tall' : 'Square';
  const size = `${shape} ${image.format.toUpperCase()} image, ${image.width} by ${image.height} pixels`;
  return text ? `${size}, with the text “${text}”` : size;
}

// What Tesseract reads in the image; empty where it reads nothing, or is not there.
export function recognise(bytes, language) {
  if (!/^[A-Za-z_]+(\+[A-Za-z_]+)*$/.test(language)) return Promise.resolve('');
  return new Promise((resolve) => {
    const process = spawn('tesseract', ['stdin', 'stdout', '-l', language], {
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: OCR_MILLISECONDS,
    });
    let output = '';
    process.on('error', () => resolve(''));
    process.stdin.on('error', () => {}); // it ended before it had read everything
    process.stdout.on('data', (data) => { if (output.length < 10 * MAX_TEXT) output += data; });
    process.on('close', (code) => resolve(code === 0 ? output.replace(/\s+/g, ' ').trim().slice(0, MAX_TEXT) : ''));
    process.stdin.end(bytes);
  });
}

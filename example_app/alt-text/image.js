// What an image's own header says: format, size in pixels, and a description where its author wrote one.

export class UnreadableError extends Error {}

export function inspect(bytes) {
  for (const [matches, read] of FORMATS) {
    if (matches(bytes)) {
      try {
        return read(bytes);
      } catch (error) {
        if (error instanceof RangeError) throw new UnreadableError('the image ends in the middle of its header');
        throw error;
      }
    }
  }
  throw new UnreadableError('this is neither PNG, JPEG, GIF nor WebP');
}

const text = (bytes, start, end) => bytes.toString('latin1', start, end);

const FORMATS = [
  [(b) => text(b, 0, 8) === '\x89PNG\r\n\x1a\n', png],
  [(b) => b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff, jpeg],
  [(b) => /^GIF8[79]a/.test(text(b, 0, 6)), gif],
  [(b) => text(b, 0, 4) === 'RIFF' && text(b, 8, 12) === 'WEBP', webp],
];

function png(bytes) {
  const image = { format: 'png', width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (text(bytes, at + 4, at + 8) === 'tEXt') {
      const [keyword, ...value] = text(bytes, at + 8, at + 8 + length).split('\0');
      if (/^(description|title)$/i.test(keyword)) image.description ??= value.join('\0').trim();
    }
    at += 12 + length;
  }
  return image;
}

function jpeg(bytes) {
  let description;
  for (let at = 2; ; ) {
    const marker = bytes.readUInt8(at + 1);
    const length = bytes.readUInt16BE(at + 2);
    if (marker === 0xfe) description ??= bytes.toString('utf8', at + 4, at + 2 + length).trim();
    // SOF0 to SOF15, without DHT, JPG and DAC
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      const image = { format: 'jpeg', width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
      return description ? { ...image, description } : image;
    }
    if (marker === 0xda) throw new UnreadableError('the image has no frame header');
    at += 2 + length;
  }
}

function gif(bytes) {
  return { format: 'gif', width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
}

function webp(bytes) {
  switch (text(bytes, 12, 16)) {
    case 'VP8 ':
      return { format: 'webp', width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
    case 'VP8L': {
      const bits = bytes.readUInt32LE(21);
      return { format: 'webp', width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 'VP8X':
      return { format: 'webp', width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
    default:
      throw new UnreadableError('the WebP image has no frame');
  }
}

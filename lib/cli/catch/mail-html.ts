// The HTML of a message for a sandboxed frame: it is the text of a stranger, and nothing that it points at is asked.

import type { Readable } from 'node:stream'
import type { WebAnswer } from '../../web/answer.ts'
import type { MailAttachment } from '../../testing/catch/parsed-mail.ts'

/**
 * The response is a sandbox wherever it is opened: no script, no form, no navigation of other windows, an origin of its
 * own. Nothing is loaded but `data:` images.
 */
const POLICY =
  "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"

/**
 * What a policy need not reach in every browser: `<link>` connects ahead and resolves names, `<meta>` turns the prefetching of names on and
 * has another address loaded, `<base>` changes where links lead, and a frame can have any of them in its `srcdoc`. The links
 * of `<svg>` and `<math>` take no notice of the `<base>` that keeps links closed. Under another name they are unknown elements.
 */
const ELEMENTS = /<(\/?)(?=(?:link|meta|base|i?frame|frameset|object|embed|script|svg|math)(?![a-z0-9-]))/gi

/** A link for this window would lead it away where the response is opened by itself. */
const TARGETS = /(?<=[\s"'/])target(?=\s*=)/gi

/** Images of the message that may be shown: none of them runs scripts in an `<img>`. */
const IMAGE = /^image\/(?:png|jpeg|gif|webp|bmp|svg\+xml)$/
const CID = /\bcid:([^"'\s<>)]+)/gi
/** Octets of all images that are put in; one that is put in twice counts twice. */
const MOST_IMAGES = 20 * 2 ** 20

/** Answers with the HTML of a message. Its images with a Content-ID are put in as `data:` URLs. */
export function htmlAnswer(html: string, attachments: readonly MailAttachment[]): WebAnswer {
  const images = new Map(attachments.filter(isImage).map(image => [image.contentId, image]))
  let left = MOST_IMAGES
  const imageFor = (url: string, id: string): string => {
    const image = images.get(decoded(id))
    if (image === undefined || image.content.length > left) return url
    const data = `data:${image.contentType};base64,${image.content.toString('base64')}`
    left -= data.length
    return data
  }
  const safe = html.replace(ELEMENTS, '<$1x-').replace(TARGETS, 'x-target').replace(CID, imageFor)
  return {
    type: 'text/html; charset=utf-8',
    // A link opens a new window, which the sandbox does not allow.
    body: `<!doctype html><meta charset="utf-8"><base target="_blank">${safe}`,
    headers: { 'content-security-policy': POLICY, 'x-dns-prefetch-control': 'off' },
  }
}

function isImage({ contentId, contentType }: MailAttachment): boolean {
  return contentId !== null && IMAGE.test(contentType)
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id)
  } catch {
    return id
  }
}

/** Answers with an attachment: to be saved, never to be shown. */
export function attachmentAnswer({ filename, content }: MailAttachment): WebAnswer {
  const name = filename ?? 'attachment'
  const ascii = name.replaceAll(/[^\w .()+-]/g, '_').slice(0, 100)
  return {
    type: 'application/octet-stream',
    body: content,
    headers: {
      'content-disposition': `attachment; filename="${ascii}"; filename*=UTF-8''${extended(name.slice(0, 200))}`,
      'content-security-policy': POLICY,
    },
  }
}

/** [RFC 8187 §3.2] A half of a surrogate pair cannot be encoded. */
function extended(name: string): string {
  return encodeURIComponent(Buffer.from(name).toString()).replaceAll(
    /['()*]/g,
    each => `%${each.charCodeAt(0).toString(16)}`,
  )
}

/** Answers with the octets of a message as text. */
export function sourceAnswer(octets: Buffer | Readable): WebAnswer {
  return { body: octets, headers: { 'content-security-policy': POLICY } }
}

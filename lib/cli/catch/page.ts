// The page and what describes the API: files of share/catch/, read once.

import { readFileSync } from 'node:fs'
import { contentPolicy } from '../../web/answer.ts'
import type { Route } from '../../web/routes.ts'

/** The routes of the page. */
export function pageRoutes(): Route[] {
  const [body, script, style, openapi] = ['page.html', 'page.js', 'page.css', 'openapi.json'].map(readShared) as [
    string,
    string,
    string,
    string,
  ]
  // A policy has the digests of exactly these texts.
  const page = [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<link rel="icon" href="data:,">',
    `<title>Caught mail</title><style>${style}</style></head>`,
    `<body>${body}<script type="module">${script}</script></body></html>`,
  ].join('\n')
  const policy = contentPolicy({ scripts: [script], styles: [style], more: { 'frame-src': "'self'" } })
  const headers = { 'content-security-policy': policy, 'x-dns-prefetch-control': 'off' }
  return [
    { path: '/', handle: () => ({ type: 'text/html; charset=utf-8', body: page, headers }) },
    { path: '/openapi.json', handle: () => ({ type: 'application/json', body: openapi }) },
  ]
}

function readShared(name: string): string {
  return readFileSync(new URL(`../../../../share/catch/${name}`, import.meta.url), 'utf8')
}

// What the plots have in common: SVG for light and dark pages.

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 14px; font-weight: 600 }
  .faint { fill: #656d76; font-size: 11px }
  .grid { stroke: #d0d7de }
`
const DARK = `
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .faint { fill: #8d96a0 } .grid { stroke: #30363d }`

/** A picture with a title and a line below it; `style` and `dark` are rules of its own. */
export function svg({ width, height, title, subtitle, style, dark = '' }, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<style>${STYLE}${style}${DARK}${dark}\n  }\n</style>`,
    `<text class="title" x="12" y="22">${escape(title)}</text>`,
    `<text class="faint" x="12" y="40">${escape(subtitle)}</text>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

export function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

/** To a tenth of a pixel. */
export function round(value) {
  return Math.round(value * 10) / 10
}

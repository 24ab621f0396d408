// A row of the list as an edit of a source, and as a line of a table.

/** The source without the defence. Throws if the text of the edit is not in it exactly once. */
export function edited({ id, file, find, replace }, source) {
  const parts = source.split(find)
  if (parts.length !== 2) throw new Error(`${id}: its text is ${parts.length - 1} times in lib/${file}, not once`)
  return parts.join(replace)
}

/** The rows as a table of docs/security.md. */
export function table(rows) {
  const lines = rows.map(
    ({ id, threat, done, option, test }) =>
      `| ${threat} | ${done} | ${option} | test/${test}.test.ts | \`npm run sabotage -- ${id}\` |`,
  )
  return [
    '| threat | what is done | option | test | takes the defence out |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
}

// What is changed: each mutant is one edit of the text of a TypeScript file, made where the syntax tree says so.

import { createRequire } from 'node:module'

// API Extractor brings a TypeScript with a JavaScript API; the project's own has none.
const require = createRequire(import.meta.url)
const ts = require(require.resolve('typescript', { paths: [require.resolve('@microsoft/api-extractor')] }))
const { SyntaxKind } = ts

const BINARY = new Map([
  [SyntaxKind.LessThanToken, ['<=', '>=']],
  [SyntaxKind.LessThanEqualsToken, ['<', '>']],
  [SyntaxKind.GreaterThanToken, ['>=', '<=']],
  [SyntaxKind.GreaterThanEqualsToken, ['>', '<']],
  [SyntaxKind.EqualsEqualsEqualsToken, ['!==']],
  [SyntaxKind.ExclamationEqualsEqualsToken, ['===']],
  [SyntaxKind.AmpersandAmpersandToken, ['||']],
  [SyntaxKind.BarBarToken, ['&&']],
  [SyntaxKind.PlusToken, ['-']],
  [SyntaxKind.MinusToken, ['+']],
  [SyntaxKind.AsteriskToken, ['/']],
  [SyntaxKind.SlashToken, ['*']],
  [SyntaxKind.PercentToken, ['*']],
  [SyntaxKind.AmpersandToken, ['|']],
  [SyntaxKind.BarToken, ['&']],
  [SyntaxKind.CaretToken, ['&']],
  [SyntaxKind.LessThanLessThanToken, ['>>']],
  [SyntaxKind.GreaterThanGreaterThanToken, ['<<']],
  [SyntaxKind.GreaterThanGreaterThanGreaterThanToken, ['<<']],
  [SyntaxKind.PlusEqualsToken, ['-=']],
  [SyntaxKind.MinusEqualsToken, ['+=']],
])

/** Methods that are easily taken for one another. */
const METHODS = new Map([
  ['every', 'some'],
  ['some', 'every'],
  ['startsWith', 'endsWith'],
  ['endsWith', 'startsWith'],
  ['min', 'max'],
  ['max', 'min'],
  ['toLowerCase', 'toUpperCase'],
  ['toUpperCase', 'toLowerCase'],
  ['indexOf', 'lastIndexOf'],
  ['lastIndexOf', 'indexOf'],
])

/** One change in a regular expression: quantifiers, anchors, classes. */
const REGEX_EDITS = [
  [/(?<!\\)(?<=[\w\])\\.}])\+/g, '*'],
  [/(?<!\\)(?<=[\w\])\\.}])\*/g, '+'],
  [/(?<!\\)(?<=[\w\])\\.])\?(?![:=!<])/g, ''],
  [/^\^/g, ''],
  [/(?<!\\)\$$/g, ''],
  [/(?<!\\)\[\^/g, '['],
  [/(?<!\\)\[(?!\^)/g, '[^'],
  [/\\d/g, '\\D'],
  [/\\s/g, '\\S'],
  [/\\w/g, '\\W'],
  [
    /\{(\d+)(,?)(\d*)\}/g,
    (_, least, comma, most) => `{${Number(least) + 1}${comma}${most === '' ? '' : Number(most) + 1}}`,
  ],
]

/** Each mutant: the file's text, and where and how it differs: `position` is a line number, `line` that line's text. */
export function mutantsOf(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true)
  const lines = text.split('\n')
  const mutants = []
  const add = (node, replacement) => {
    const [from, to] = [node.getStart(source), node.getEnd()]
    const position = source.getLineAndCharacterOfPosition(from).line + 1
    // What stands around it tells one of two equal edits of a line from the other.
    const shown = node.parent.getText(source).length <= SHOWN ? node.parent : node
    const [before, after] = [text.slice(shown.getStart(source), from), text.slice(to, shown.getEnd())]
    mutants.push({
      file,
      position,
      line: lines[position - 1].trim(),
      change: `${short(shown.getText(source))} → ${short(`${before}${replacement}${after}`)}`,
      text: `${text.slice(0, from)}${replacement}${text.slice(to)}`,
    })
  }
  const visit = node => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return
    mutate(node, add, source)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return mutants
}

const SHOWN = 70

function short(text) {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length > SHOWN + 10 ? `${line.slice(0, SHOWN)}…` : line
}

function mutate(node, add, source) {
  if (ts.isBinaryExpression(node)) return mutateBinary(node, add)
  if (ts.isNumericLiteral(node)) return mutateNumber(node, add)
  if (ts.isStringLiteral(node)) return mutateString(node, add)
  if (ts.isRegularExpressionLiteral(node)) return mutateRegex(node, add, source)
  if (node.kind === SyntaxKind.TrueKeyword) return add(node, 'false')
  if (node.kind === SyntaxKind.FalseKeyword) return add(node, 'true')
  if (ts.isPrefixUnaryExpression(node)) return mutatePrefix(node, add, source)
  if (ts.isPostfixUnaryExpression(node)) {
    return add(node, `${node.operand.getText(source)}${node.operator === SyntaxKind.PlusPlusToken ? '--' : '++'}`)
  }
  if (ts.isIfStatement(node)) return mutateCondition(node.expression, add, ['true', 'false'])
  if (ts.isConditionalExpression(node)) return mutateCondition(node.condition, add, ['true', 'false'])
  if (ts.isWhileStatement(node) || ts.isDoStatement(node)) return mutateCondition(node.expression, add, ['false'])
  if (ts.isForStatement(node) && node.condition) return mutateCondition(node.condition, add, ['false'])
  if (ts.isForOfStatement(node)) return add(node.expression, '[]')
  if (ts.isReturnStatement(node) && node.expression) return add(node, 'return undefined')
  if (ts.isThrowStatement(node) || ts.isBreakStatement(node) || ts.isContinueStatement(node)) return remove(node, add)
  if (ts.isExpressionStatement(node) && !isSuperCall(node)) return remove(node, add)
  if (ts.isCallExpression(node)) return mutateCall(node, add)
  return undefined
}

function isSuperCall({ expression }) {
  return ts.isCallExpression(expression) && expression.expression.kind === SyntaxKind.SuperKeyword
}

function remove(node, add) {
  add(node, ts.isBlock(node.parent) || ts.isSourceFile(node.parent) ? ';' : '{}')
}

function mutateBinary(node, add) {
  const { operatorToken, left } = node
  for (const operator of BINARY.get(operatorToken.kind) ?? []) {
    // A sum of texts is no sum.
    if (operator === '-' && [node.left, node.right].some(isText)) continue
    add(operatorToken, operator)
  }
  if (operatorToken.kind === SyntaxKind.QuestionQuestionToken) add(node, left.getText())
}

function isText(node) {
  return ts.isStringLiteral(node) || ts.isTemplateExpression(node) || ts.isNoSubstitutionTemplateLiteral(node)
}

function mutateNumber(node, add) {
  const value = Number(node.text)
  const { parent } = node
  const operator = ts.isBinaryExpression(parent) && parent.right === node ? parent.operatorToken.kind : null
  // One of the two is what another operator does too: of whole numbers, `x < 6` is `x <= 5`.
  const isAbove = operator === SyntaxKind.LessThanToken || operator === SyntaxKind.GreaterThanEqualsToken
  const isBelow = operator === SyntaxKind.GreaterThanToken || operator === SyntaxKind.LessThanEqualsToken
  if (!isAbove) add(node, String(value + 1))
  if (!isBelow && (value > 1 || isAbove)) add(node, String(value - 1))
}

/** Only texts that decide something: what is compared, cases of a switch, elements of a list. Not messages. */
function mutateString(node, add) {
  const { parent } = node
  const isCompared = ts.isBinaryExpression(parent) && /^[!=]==$/.test(parent.operatorToken.getText())
  if (isCompared || ts.isCaseClause(parent) || ts.isArrayLiteralExpression(parent)) {
    add(node, node.text === '' ? "'mutant'" : "''")
  }
}

function mutateRegex(node, add, source) {
  const [, body, flags] = /^\/(.*)\/([a-z]*)$/s.exec(node.getText(source))
  const made = new Set([body])
  for (const [pattern, replacement] of REGEX_EDITS) {
    for (const match of body.matchAll(pattern)) {
      const edited = typeof replacement === 'function' ? replacement(...match) : replacement
      const mutant = `${body.slice(0, match.index)}${edited}${body.slice(match.index + match[0].length)}`
      if (!made.has(mutant) && isRegex(mutant, flags)) add(node, `/${mutant}/${flags}`)
      made.add(mutant)
    }
  }
}

function isRegex(body, flags) {
  try {
    return new RegExp(body, flags) instanceof RegExp
  } catch {
    return false
  }
}

function mutatePrefix(node, add, source) {
  const operand = node.operand.getText(source)
  if (node.operator === SyntaxKind.ExclamationToken || node.operator === SyntaxKind.MinusToken) add(node, operand)
  if (node.operator === SyntaxKind.PlusPlusToken) add(node, `--${operand}`)
  if (node.operator === SyntaxKind.MinusMinusToken) add(node, `++${operand}`)
}

/** A comparison has mutants of its own operator; one that always holds or never does is another. */
function mutateCondition(node, add, values) {
  for (const value of values) add(node, value)
}

function mutateCall(node, add) {
  const { expression } = node
  if (!ts.isPropertyAccessExpression(expression)) return
  const other = METHODS.get(expression.name.text)
  if (other !== undefined) add(expression.name, other)
  if (expression.name.text === 'trim') add(node, expression.expression.getText())
}

const COMPILER_OPTIONS = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
}

/** The JavaScript of a mutant; null where it does not parse. */
export function compile(fileName, text) {
  const { outputText, diagnostics } = ts.transpileModule(text, {
    fileName,
    compilerOptions: COMPILER_OPTIONS,
    reportDiagnostics: true,
  })
  return diagnostics.length > 0 ? null : outputText
}

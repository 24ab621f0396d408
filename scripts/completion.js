// Completion of the command line in bash, zsh and fish, made of the table that the help is made of.

import { COMMANDS, operandOf } from '../dist/lib/cli/command-line.js'

const commands = Object.entries(COMMANDS)
const names = commands.map(([name]) => name)
const LEVELS = ['debug', 'info', 'warn', 'error', 'silent']
const HEAD = shell => `Completion of mailhandler for ${shell}, made by scripts/manual.js of the table of commands.`

/** What a command takes besides options: words of its own, and whether it takes a file. */
function operandsOf(name) {
  const operand = operandOf(name)
  const words = name === 'help' ? names : (operand.match(/\b[a-z]+\b/g) ?? [])
  return { words, isFile: operand.includes('FILE') }
}

/** `-c` and `--config`. */
function flags(long, { short }) {
  return [...(short === undefined ? [] : [`-${short}`]), `--${long}`]
}

export function bash() {
  const values = {
    FILE: 'compgen -f -- "$word"',
    DIR: 'compgen -d -- "$word"',
    LEVEL: `compgen -W '${LEVELS.join(' ')}' -- "$word"`,
  }
  const rows = new Map()
  for (const [long, option] of commands.flatMap(([, { options }]) => Object.entries(options))) {
    if (option.takes === undefined) continue
    const value = values[option.takes]
    const action = value === undefined ? 'return' : `mapfile -t COMPREPLY < <(${value}); return`
    rows.set(flags(long, option).join(' | '), action)
  }
  const cases = commands.map(([name, { options }]) => {
    const { words, isFile } = operandsOf(name)
    const all = [...Object.entries(options).flatMap(entry => flags(...entry)), ...words]
    return `    ${name}) words='${all.join(' ')}'${isFile ? (words.length > 0 ? '; [ "$COMP_CWORD" -eq 2 ] || files=-f' : ' files=-f') : ''} ;;`
  })
  return `# ${HEAD('bash')}

_mailhandler() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} words='' files=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W '${names.join(' ')} --help --version' -- "$word")
    return
  fi
  case $before in
${[...rows].map(([options, action]) => `    ${options}) ${action} ;;`).join('\n')}
  esac
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  # shellcheck disable=SC2086 # nothing or -f
  mapfile -t COMPREPLY < <(compgen $files -W "$words" -- "$word")
}

complete -F _mailhandler mailhandler
`
}

export function zsh() {
  const quote = text => `'${text.replaceAll("'", `'\\''`)}'`
  const escape = text => text.replaceAll(/[[\]:\\]/g, '\\$&')
  const values = { FILE: '_files', DIR: '_files -/', LEVEL: `(${LEVELS.join(' ')})` }
  const specs = ([long, option]) => {
    const both = flags(long, option)
    const before = option.several === true ? '*' : both.length > 1 ? `(${both.join(' ')})` : ''
    const value = option.takes === undefined ? '' : `:${escape(option.takes)}:${values[option.takes] ?? ' '}`
    // --config FILE, --config=FILE
    const joined = option.takes === undefined ? '' : '='
    return both.map(flag =>
      quote(`${before}${flag}${flag.startsWith('--') ? joined : ''}[${escape(option.help)}]${value}`),
    )
  }
  const operand = name => {
    const { words, isFile } = operandsOf(name)
    const first = words.length > 0 ? [quote(`1: :(${words.join(' ')})`)] : []
    return isFile ? [...first, quote(`${first.length > 0 ? '2' : '1'}: :_files`)] : first
  }
  const cases = commands.map(([name, { options }]) => {
    const all = [...Object.entries(options).flatMap(specs), ...operand(name)]
    return `        ${name})\n          _arguments -s ${all.join(' \\\n            ')}\n          ;;`
  })
  const told = commands.map(([name, { summary }]) => `    ${quote(`${name}:${escape(summary)}`)}`)
  return `#compdef mailhandler
# ${HEAD('zsh')}

_mailhandler() {
  local curcontext="$curcontext" state
  local -a commands=(
${told.join('\n')}
  )
  _arguments -C '(- *)'{-h,--help}'[show this help]' '(- *)--version[show the version]' \\
    '1: :->command' '*:: :->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
${cases.join('\n')}
      esac
      ;;
  esac
}

_mailhandler "$@"
`
}

export function fish() {
  const quote = text => `'${text.replaceAll(/['\\]/g, '\\$&')}'`
  const values = { FILE: '-r -F', DIR: "-x -a '(__fish_complete_directories)'", LEVEL: `-x -a '${LEVELS.join(' ')}'` }
  const first = 'complete -c mailhandler -n __mailhandler_no_command'
  const lines = commands.flatMap(([name, { options }]) => {
    const own = `complete -c mailhandler -n '__mailhandler_command ${name}'`
    const { words, isFile } = operandsOf(name)
    return [
      ...Object.entries(options).map(([long, { short, takes, help }]) => {
        const value = takes === undefined ? '' : ` ${values[takes] ?? '-x'}`
        return `${own}${short === undefined ? '' : ` -s ${short}`} -l ${long}${value} -d ${quote(help)}`
      }),
      ...(words.length > 0 ? [`${own} -a '${words.join(' ')}'`] : []),
      ...(isFile ? [`${words.length > 0 ? own.replace(/'$/, " 3'") : own} -F`] : []),
    ]
  })
  return `# ${HEAD('fish')}

function __mailhandler_no_command
    test (count (commandline -opc)) -eq 1
end

function __mailhandler_command
    set -l words (commandline -opc)
    set -l least 2 $argv[2]
    test (count $words) -ge $least[-1]; and test $words[2] = $argv[1]
end

complete -c mailhandler -f
${commands.map(([name, { summary }]) => `${first} -a ${name} -d ${quote(summary)}`).join('\n')}
${first} -s h -l help -d 'show this help'
${first} -l version -d 'show the version'
${lines.join('\n')}
`
}

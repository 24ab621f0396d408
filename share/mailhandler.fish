# Completion of mailhandler for fish, made by scripts/manual.js of the table of commands.

function __mailhandler_no_command
    test (count (commandline -opc)) -eq 1
end

function __mailhandler_command
    set -l words (commandline -opc)
    set -l least 2 $argv[2]
    test (count $words) -ge $least[-1]; and test $words[2] = $argv[1]
end

complete -c mailhandler -f
complete -c mailhandler -n __mailhandler_no_command -a serve -d 'receive mail until told to stop'
complete -c mailhandler -n __mailhandler_no_command -a check -d 'say what is wrong with a configuration'
complete -c mailhandler -n __mailhandler_no_command -a catch -d 'catch mail for tests: SMTP on 1025, a page on 8025, nothing leaves'
complete -c mailhandler -n __mailhandler_no_command -a init -d 'write a configuration'
complete -c mailhandler -n __mailhandler_no_command -a greylist -d 'show and change what greylisting knows'
complete -c mailhandler -n __mailhandler_no_command -a import-kamaelia -d 'print the configuration for a greylist.conf of Kamaelia Grey'
complete -c mailhandler -n __mailhandler_no_command -a password -d 'make a line for the file of users'
complete -c mailhandler -n __mailhandler_no_command -a version -d 'show the version'
complete -c mailhandler -n __mailhandler_no_command -a help -d 'show this help, or that of a command'
complete -c mailhandler -n __mailhandler_no_command -s h -l help -d 'show this help'
complete -c mailhandler -n __mailhandler_no_command -l version -d 'show the version'
complete -c mailhandler -n '__mailhandler_command serve' -s c -l config -r -F -d 'the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)'
complete -c mailhandler -n '__mailhandler_command serve' -s l -l listen -x -d 'listen here instead; may be given several times (default 127.0.0.1:2525)'
complete -c mailhandler -n '__mailhandler_command serve' -s m -l maildir -x -a '(__fish_complete_directories)' -d 'deliver to this Maildir (default ./Maildir)'
complete -c mailhandler -n '__mailhandler_command serve' -s u -l upstream -x -d 'pass mail on to this server, instead of to a Maildir; several are tried in their order'
complete -c mailhandler -n '__mailhandler_command serve' -s d -l domain -x -d 'accept mail for this domain; may be given several times'
complete -c mailhandler -n '__mailhandler_command serve' -l name -x -d 'the name in the greeting (default the name of this host)'
complete -c mailhandler -n '__mailhandler_command serve' -s w -l workers -x -d 'processes that share the work (default 1)'
complete -c mailhandler -n '__mailhandler_command serve' -l log-level -x -a 'debug info warn error silent' -d 'debug, info, warn, error or silent (default info)'
complete -c mailhandler -n '__mailhandler_command serve' -l metrics -x -d 'serve /metrics, /healthz and /readyz here (default: nowhere)'
complete -c mailhandler -n '__mailhandler_command serve' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command check' -s c -l config -r -F -d 'the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)'
complete -c mailhandler -n '__mailhandler_command check' -s l -l listen -x -d 'listen here instead; may be given several times (default 127.0.0.1:2525)'
complete -c mailhandler -n '__mailhandler_command check' -s m -l maildir -x -a '(__fish_complete_directories)' -d 'deliver to this Maildir (default ./Maildir)'
complete -c mailhandler -n '__mailhandler_command check' -s u -l upstream -x -d 'pass mail on to this server, instead of to a Maildir; several are tried in their order'
complete -c mailhandler -n '__mailhandler_command check' -s d -l domain -x -d 'accept mail for this domain; may be given several times'
complete -c mailhandler -n '__mailhandler_command check' -l name -x -d 'the name in the greeting (default the name of this host)'
complete -c mailhandler -n '__mailhandler_command check' -s w -l workers -x -d 'processes that share the work (default 1)'
complete -c mailhandler -n '__mailhandler_command check' -l log-level -x -a 'debug info warn error silent' -d 'debug, info, warn, error or silent (default info)'
complete -c mailhandler -n '__mailhandler_command check' -l metrics -x -d 'serve /metrics, /healthz and /readyz here (default: nowhere)'
complete -c mailhandler -n '__mailhandler_command check' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command check' -l connect -d 'connect to each upstream: say what it offers, and whether TLS and AUTH work'
complete -c mailhandler -n '__mailhandler_command catch' -s l -l listen -x -d 'take mail here (default 127.0.0.1:1025)'
complete -c mailhandler -n '__mailhandler_command catch' -s p -l page -x -d 'show it here (default 127.0.0.1:8025)'
complete -c mailhandler -n '__mailhandler_command catch' -s f -l folder -x -a '(__fish_complete_directories)' -d 'keep messages in this folder (default: in memory)'
complete -c mailhandler -n '__mailhandler_command catch' -l messages -x -d 'keep the last N messages (default 10000)'
complete -c mailhandler -n '__mailhandler_command catch' -l size -x -d 'keep at most this many octets of messages: 100MiB (default 256MiB)'
complete -c mailhandler -n '__mailhandler_command catch' -l rules -r -F -d 'misbehave by these rules, in JSON'
complete -c mailhandler -n '__mailhandler_command catch' -l cert -r -F -d 'offer STARTTLS with this certificate, in PEM'
complete -c mailhandler -n '__mailhandler_command catch' -l key -r -F -d 'its private key'
complete -c mailhandler -n '__mailhandler_command catch' -l host -x -d 'a host name by which browsers may open the page'
complete -c mailhandler -n '__mailhandler_command catch' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command init' -s d -l domain -x -d 'accept mail for this domain; may be given several times'
complete -c mailhandler -n '__mailhandler_command init' -l to -x -d 'a Maildir, a path with {local}, the host:port of a mail server, or the https address of a service (default Maildir)'
complete -c mailhandler -n '__mailhandler_command init' -s l -l listen -x -d 'listen here (default 127.0.0.1:2525)'
complete -c mailhandler -n '__mailhandler_command init' -l tls -x -d 'the certificate and its key, as files in PEM (default: no TLS)'
complete -c mailhandler -n '__mailhandler_command init' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command init' -F
complete -c mailhandler -n '__mailhandler_command greylist' -s c -l config -r -F -d 'the configuration, in TOML (default mailhandler.toml if it is here, else the defaults)'
complete -c mailhandler -n '__mailhandler_command greylist' -l log -r -F -d 'report: read this log too, in JSON, - for standard input; may be given several times'
complete -c mailhandler -n '__mailhandler_command greylist' -l json -d 'report: print JSON'
complete -c mailhandler -n '__mailhandler_command greylist' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command greylist' -a 'stats list show allow forget export import report'
complete -c mailhandler -n '__mailhandler_command greylist 3' -F
complete -c mailhandler -n '__mailhandler_command import-kamaelia' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command import-kamaelia' -F
complete -c mailhandler -n '__mailhandler_command password' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command version' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command help' -s h -l help -d 'show this help'
complete -c mailhandler -n '__mailhandler_command help' -a 'serve check catch init greylist import-kamaelia password version help'

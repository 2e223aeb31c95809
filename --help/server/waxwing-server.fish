# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_waxwing_server_global_optspecs
    string join \n data= config= log-level= log-format= json listen= allow-unverified check recover new-key new-database without-log h/help V/version
end

function __fish_waxwing_server_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_waxwing_server_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_waxwing_server_using_subcommand
    set -l cmd (__fish_waxwing_server_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l listen -d 'IP address and port to listen on, such as 0.0.0.0:9295 or [::]:9295; may be given several times [default: 127.0.0.1:9295]' -r
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l allow-unverified -d 'Give whoever asks for a one-time password that password at once, on any address: for trying out only'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l check -d 'Read the whole database and look for damage before serving'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l recover -d 'Read the whole database; if it is damaged, move it aside and go on with what can be read of it'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l new-key -d 'Go on with a key that is not the database\'s: the one that is there, or else a new one. Every client has to be given its public half by hand'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l new-database -d 'Begin with an empty database beside a key that is there: all users have to register again'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -l without-log -d 'Go on with a database whose log is missing: letters and users that were stored last are lost'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -s V -l version -d 'Print version'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "run" -d 'Run the server; this is what it does without a command'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "status" -d 'Tell how the running server is'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "health" -d 'Say whether the running server is well: the exit code is 0 if it is, else 1'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "reload" -d 'Have the running server read its configuration again: what is live changes, and nobody is disconnected. A mistake changes nothing'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "doctor" -d 'Look for what is wrong with the server and its machine, whether it runs or not; nothing is changed. The exit code is 1 if something is'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "drain" -d 'Stop the server so that people hardly notice: nobody is let in any more, sessions end one after the other, and when the last one has ended it stops. Given again, it gives those who are left another time. Where a database is shared, all end at once, and another server takes over'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "undrain" -d 'Take a drain back while it goes on'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "log" -d 'Change how much the running server writes to its log, or have it open the file of its log again'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "sessions" -d 'Look at the sessions of the running server, or end one'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "queue" -d 'Look at letters that wait in the running server, or have some expire'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "users" -d 'Look at users, keep one out or let them in again, or remove one'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "backup" -d 'Make backups, see whether they can be used, and bring one back'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "otp" -d 'Find out whether one-time passwords reach phones'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "storage" -d 'See which versions can use the database, move it, or go on with one that has lost something'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "ban" -d 'Serve nobody who comes from some addresses, or look at such bans'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "audit" -d 'Look at what operators did'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "key" -d 'Tell the fingerprint of the server\'s own key, or plan another key'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "config" -d 'Print an example of a configuration file, or the one that counts here, or check one'
complete -c waxwing-server -n "__fish_waxwing_server_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l listen -d 'IP address and port to listen on, such as 0.0.0.0:9295 or [::]:9295; may be given several times [default: 127.0.0.1:9295]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l allow-unverified -d 'Give whoever asks for a one-time password that password at once, on any address: for trying out only'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l check -d 'Read the whole database and look for damage before serving'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l recover -d 'Read the whole database; if it is damaged, move it aside and go on with what can be read of it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l new-key -d 'Go on with a key that is not the database\'s: the one that is there, or else a new one. Every client has to be given its public half by hand'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l new-database -d 'Begin with an empty database beside a key that is there: all users have to register again'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l without-log -d 'Go on with a database whose log is missing: letters and users that were stored last are lost'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand run" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand status" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand status" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand status" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand status" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand status" -l watch -d 'Show it again each second, until Ctrl-C'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand status" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand status" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand health" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand health" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand health" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand health" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand health" -l ready -d 'Whether storage takes writes, too, so that people can be sent to it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand health" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand health" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand reload" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand reload" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand reload" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand reload" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand reload" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand reload" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand doctor" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand doctor" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand doctor" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand doctor" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand doctor" -l live -d 'Have the running server send a letter all the way from one account of its own to another, over the network, and say how long that took'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand doctor" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand drain" -l over -d 'How long that takes at most: up to 1d' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand drain" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand drain" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand drain" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand drain" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand drain" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand drain" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand undrain" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand undrain" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand undrain" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand undrain" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand undrain" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand undrain" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -f -a "level" -d 'Change how much goes to the log: error, warn, info, debug or trace. The change ends when its time is over, and when the configuration is read again'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -f -a "reopen" -d 'Open the file of the log again, after somebody has moved it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and not __fish_seen_subcommand_from level reopen help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from level" -l for -d 'For how long, such as 10m; without it, until the configuration is read again' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from level" -l target -d 'Change it for this part of the program alone, such as waxwing_server::store' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from level" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from level" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from level" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from level" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from level" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from level" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from reopen" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from reopen" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from reopen" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from reopen" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from reopen" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from reopen" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "level" -d 'Change how much goes to the log: error, warn, info, debug or trace. The change ends when its time is over, and when the configuration is read again'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "reopen" -d 'Open the file of the log again, after somebody has moved it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand log; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -f -a "list" -d 'List all sessions'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -f -a "end" -d 'End the session of a user; the client is told to come back later'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and not __fish_seen_subcommand_from list end help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from list" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from list" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from list" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from list" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from list" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from end" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from end" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from end" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from end" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from end" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from end" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all sessions'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "end" -d 'End the session of a user; the client is told to come back later'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand sessions; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -f -a "list" -d 'List the mailboxes with the most letters'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -f -a "show" -d 'List the letters that wait for a user: who sent them, when, and how large they are'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -f -a "expire" -d 'Have the letters that wait for a user expire; their senders are told so'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and not __fish_seen_subcommand_from list show expire help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from list" -l top -d 'How many of them' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from list" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from list" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from list" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from list" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from list" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from show" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from show" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from show" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from show" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from show" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from expire" -l older-than -d 'Those that the server accepted so long ago, such as 7d or 12h' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from expire" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from expire" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from expire" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from expire" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from expire" -l yes -d 'Do it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from expire" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from expire" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the mailboxes with the most letters'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "show" -d 'List the letters that wait for a user: who sent them, when, and how large they are'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "expire" -d 'Have the letters that wait for a user expire; their senders are told so'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand queue; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -f -a "list" -d 'List all users'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -f -a "show" -d 'Show one user'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -f -a "remove" -d 'Remove a user: the session ends, and letters that wait are not delivered'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -f -a "export" -d 'Write all that is held about a user, as JSON, an object a line, with the whole phone; the audit log notes it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -f -a "limits" -d 'Let more or less wait for a user than for others; what waits already stays'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -f -a "suspend" -d 'Keep a user out: the session ends, and letters to them wait'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -f -a "resume" -d 'Let a user in again who was suspended'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and not __fish_seen_subcommand_from list show remove export limits suspend resume help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from list" -l idle -d 'Those who have no session and began the last one so long ago, such as 90d, or never had one' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from list" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from list" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from list" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from list" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from list" -l full -d 'Show whole phones; the audit log notes it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from list" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from show" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from show" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from show" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from show" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from show" -l full -d 'Show the whole phone; the audit log notes it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from show" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from remove" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from remove" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from remove" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from remove" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from remove" -l erase -d 'Also take out of the audit log what names them, and forget what became of their letters'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from remove" -l yes -d 'Do it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from remove" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from export" -l output -d 'To this file, which must not be there yet, and which nobody but you can read' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from export" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from export" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from export" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from export" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from export" -l letters -d 'With the sealed letters from and to the user, in Base64'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from export" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -l letters -d 'So many letters; what is not named stays as it was' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -l bytes -d 'So much of letters, such as 64MiB' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -l default -d 'As much as for everybody'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from limits" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -l until -d 'Until this moment, such as 2026-12-24 or 2026-12-24T18:00:00Z' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -l for -d 'For so long, such as 7d' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -l reason -d 'Why; only operators see it' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from suspend" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from resume" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from resume" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from resume" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from resume" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from resume" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from resume" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all users'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one user'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a user: the session ends, and letters that wait are not delivered'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write all that is held about a user, as JSON, an object a line, with the whole phone; the audit log notes it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from help" -f -a "limits" -d 'Let more or less wait for a user than for others; what waits already stays'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from help" -f -a "suspend" -d 'Keep a user out: the session ends, and letters to them wait'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from help" -f -a "resume" -d 'Let a user in again who was suspended'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand users; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -f -a "create" -d 'Make a backup now, also while the server runs, and read it back'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -f -a "list" -d 'List the backups in backup.directory, the newest last: those that the clock has made, of which backup.keep are kept, and those made by hand, which stay'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -f -a "restore" -d 'Put a backup in the place of the database, while no server runs; the one before is moved aside'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -f -a "drill" -d 'See whether people could go on with a backup: restore it in a directory of its own, start a server with it that nobody else reaches, and have a letter go all the way. The running server goes on'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -f -a "verify" -d 'Read a backup from end to end, and say whether it is what was written'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and not __fish_seen_subcommand_from create list restore drill verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from create" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from create" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from create" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from create" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from create" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from list" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from list" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from list" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from list" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from list" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -l registered-since -d 'How many users may have registered since the backup was made, or with --undo since the restore if the restored database is gone: so many ids are given to nobody for 60 days' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -l other-key -d 'Take it even if it belongs to a server with another key than the one here'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -l undo -d 'Take the last restore back: the database that it has moved aside is the database again, and the restored one is moved aside'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from drill" -l url -d 'With PostgreSQL, in place of a file: the database, written as storage.url is, into which its own tools have brought the backup back. Everything in it is read, and nothing changed' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from drill" -l directory -d 'Where to restore it; it needs as much room as the backup has, twice as much with --url, and is empty again in the end [default: beside the file]' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from drill" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from drill" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from drill" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from drill" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from drill" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from drill" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from verify" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from verify" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from verify" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from verify" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from verify" -l other-key -d 'Take it even if it belongs to a server with another key than the one here'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from verify" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a backup now, also while the server runs, and read it back'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the backups in backup.directory, the newest last: those that the clock has made, of which backup.keep are kept, and those made by hand, which stay'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Put a backup in the place of the database, while no server runs; the one before is moved aside'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "drill" -d 'See whether people could go on with a backup: restore it in a directory of its own, start a server with it that nobody else reaches, and have a letter go all the way. The running server goes on'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Read a backup from end to end, and say whether it is what was written'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand backup; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and not __fish_seen_subcommand_from test help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and not __fish_seen_subcommand_from test help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and not __fish_seen_subcommand_from test help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and not __fish_seen_subcommand_from test help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and not __fish_seen_subcommand_from test help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and not __fish_seen_subcommand_from test help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and not __fish_seen_subcommand_from test help" -f -a "test" -d 'Have the running server send a code to a phone, and say how long that took. The code proves nothing'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and not __fish_seen_subcommand_from test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from test" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from test" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from test" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from test" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from test" -l fallback -d 'Send it in the way that otp.fallback names, and not in that of otp.delivery'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from test" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from help" -f -a "test" -d 'Have the running server send a code to a phone, and say how long that took. The code proves nothing'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand otp; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -f -a "schema" -d 'Say which schema the database has, which this version writes, and what it would do with it: the exit code is 74 if it cannot use it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -f -a "copy" -d 'Copy everything from SQLite to a database of PostgreSQL, or back, while no server runs, and read it back; what it was copied from is used by no server any more. What was interrupted goes on when it is repeated'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -f -a "adopt" -d 'Go on with the database of storage.url although it has lost what it had confirmed, as after a restore to yesterday: for 30 days nobody is told that a letter was delivered only because it is not there'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and not __fish_seen_subcommand_from schema copy adopt help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from schema" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from schema" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from schema" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from schema" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from schema" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from copy" -l to -d 'From server.data to the empty database of this URL, which is written as storage.url is' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from copy" -l from -d 'From the database of this URL to server.data' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from copy" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from copy" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from copy" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from copy" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from copy" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from copy" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from adopt" -l registered-since -d 'How many users may have registered in what is lost: so many ids are given to nobody for 60 days' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from adopt" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from adopt" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from adopt" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from adopt" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from adopt" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from adopt" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from help" -f -a "schema" -d 'Say which schema the database has, which this version writes, and what it would do with it: the exit code is 74 if it cannot use it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from help" -f -a "copy" -d 'Copy everything from SQLite to a database of PostgreSQL, or back, while no server runs, and read it back; what it was copied from is used by no server any more. What was interrupted goes on when it is repeated'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from help" -f -a "adopt" -d 'Go on with the database of storage.url although it has lost what it had confirmed, as after a restore to yesterday: for 30 days nobody is told that a letter was delivered only because it is not there'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand storage; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -f -a "add" -d 'Serve nobody from these addresses any more; connections from there end'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -f -a "list" -d 'List all bans'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -f -a "remove" -d 'Serve these addresses again'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and not __fish_seen_subcommand_from add list remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -l for -d 'For so long, such as 1h or 7d [default: until it is removed]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -l reason -d 'Why, for whoever lists the bans' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -l force -d 'Ban it even if it contains an address of yours, of this machine, of limits.exempt or of server.proxies'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from list" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from list" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from list" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from list" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from list" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from remove" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from remove" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from remove" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from remove" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from remove" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from help" -f -a "add" -d 'Serve nobody from these addresses any more; connections from there end'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all bans'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Serve these addresses again'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand ban; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -f -a "show" -d 'Show what operators did, the newest last'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -f -a "verify" -d 'Say whether the lines are still as they were written, or which is the first that is not'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and not __fish_seen_subcommand_from show verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from show" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from show" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from show" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from show" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from show" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from verify" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from verify" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from verify" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from verify" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what operators did, the newest last'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Say whether the lines are still as they were written, or which is the first that is not'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -f -a "fingerprint" -d 'Print what clients compare before they pin the key'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -f -a "show" -d 'Show the key, and the one that is planned'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -f -a "rotate" -d 'Plan another key for the running server: clients that connect before the day hear of it, and go on by themselves. All others are cut off then'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and not __fish_seen_subcommand_from fingerprint show rotate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from fingerprint" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from show" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from show" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from show" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from show" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from show" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -l from -d 'From this moment on, such as 2026-12-24 or 2026-12-24T03:00:00Z: in seven days at the earliest' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -l cancel -d 'Keep the present key after all, and forget the other one. This works while no server runs, too'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -l force -d 'Even if that is sooner than in seven days'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "fingerprint" -d 'Print what clients compare before they pin the key'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the key, and the one that is planned'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Plan another key for the running server: clients that connect before the day hear of it, and go on by themselves. All others are cut off then'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -f -a "example" -d 'Print a file with every key, its meaning and its default'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -f -a "show" -d 'Print the configuration that a server would run with here: that of --config, of the environment, and of the flags. Secrets are left out'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -f -a "check" -d 'Say whether a server can use a file, in this environment. Key, database and addresses are not looked at'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and not __fish_seen_subcommand_from example show check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from example" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from example" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from example" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from example" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from example" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from example" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -l listen -d 'IP address and port to listen on, such as 0.0.0.0:9295 or [::]:9295; may be given several times [default: 127.0.0.1:9295]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -l origin -d 'Say which layer each value comes from; --json always does'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -l allow-unverified -d 'Give whoever asks for a one-time password that password at once, on any address: for trying out only'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from check" -l data -d 'Directory of key and database [default: waxwing-data]' -r
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from check" -l config -d 'Configuration file' -r -F
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from check" -l log-level -d 'How much to log' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from check" -l log-format -d 'What the log looks like' -r -f -a "text\t''
json\t''"
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'Print what the command says as JSON, an object a line'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "example" -d 'Print a file with every key, its meaning and its default'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print the configuration that a server would run with here: that of --config, of the environment, and of the flags. Secrets are left out'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Say whether a server can use a file, in this environment. Key, database and addresses are not looked at'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "run" -d 'Run the server; this is what it does without a command'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "status" -d 'Tell how the running server is'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "health" -d 'Say whether the running server is well: the exit code is 0 if it is, else 1'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "reload" -d 'Have the running server read its configuration again: what is live changes, and nobody is disconnected. A mistake changes nothing'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "doctor" -d 'Look for what is wrong with the server and its machine, whether it runs or not; nothing is changed. The exit code is 1 if something is'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "drain" -d 'Stop the server so that people hardly notice: nobody is let in any more, sessions end one after the other, and when the last one has ended it stops. Given again, it gives those who are left another time. Where a database is shared, all end at once, and another server takes over'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "undrain" -d 'Take a drain back while it goes on'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "log" -d 'Change how much the running server writes to its log, or have it open the file of its log again'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "sessions" -d 'Look at the sessions of the running server, or end one'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "queue" -d 'Look at letters that wait in the running server, or have some expire'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "users" -d 'Look at users, keep one out or let them in again, or remove one'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "backup" -d 'Make backups, see whether they can be used, and bring one back'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "otp" -d 'Find out whether one-time passwords reach phones'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "storage" -d 'See which versions can use the database, move it, or go on with one that has lost something'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "ban" -d 'Serve nobody who comes from some addresses, or look at such bans'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "audit" -d 'Look at what operators did'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "key" -d 'Tell the fingerprint of the server\'s own key, or plan another key'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "config" -d 'Print an example of a configuration file, or the one that counts here, or check one'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and not __fish_seen_subcommand_from run status health reload doctor drain undrain log sessions queue users backup otp storage ban audit key config help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "level" -d 'Change how much goes to the log: error, warn, info, debug or trace. The change ends when its time is over, and when the configuration is read again'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from log" -f -a "reopen" -d 'Open the file of the log again, after somebody has moved it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "list" -d 'List all sessions'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from sessions" -f -a "end" -d 'End the session of a user; the client is told to come back later'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "list" -d 'List the mailboxes with the most letters'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "show" -d 'List the letters that wait for a user: who sent them, when, and how large they are'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from queue" -f -a "expire" -d 'Have the letters that wait for a user expire; their senders are told so'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from users" -f -a "list" -d 'List all users'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from users" -f -a "show" -d 'Show one user'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from users" -f -a "remove" -d 'Remove a user: the session ends, and letters that wait are not delivered'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from users" -f -a "export" -d 'Write all that is held about a user, as JSON, an object a line, with the whole phone; the audit log notes it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from users" -f -a "limits" -d 'Let more or less wait for a user than for others; what waits already stays'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from users" -f -a "suspend" -d 'Keep a user out: the session ends, and letters to them wait'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from users" -f -a "resume" -d 'Let a user in again who was suspended'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "create" -d 'Make a backup now, also while the server runs, and read it back'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "list" -d 'List the backups in backup.directory, the newest last: those that the clock has made, of which backup.keep are kept, and those made by hand, which stay'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "restore" -d 'Put a backup in the place of the database, while no server runs; the one before is moved aside'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "drill" -d 'See whether people could go on with a backup: restore it in a directory of its own, start a server with it that nobody else reaches, and have a letter go all the way. The running server goes on'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from backup" -f -a "verify" -d 'Read a backup from end to end, and say whether it is what was written'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from otp" -f -a "test" -d 'Have the running server send a code to a phone, and say how long that took. The code proves nothing'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from storage" -f -a "schema" -d 'Say which schema the database has, which this version writes, and what it would do with it: the exit code is 74 if it cannot use it'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from storage" -f -a "copy" -d 'Copy everything from SQLite to a database of PostgreSQL, or back, while no server runs, and read it back; what it was copied from is used by no server any more. What was interrupted goes on when it is repeated'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from storage" -f -a "adopt" -d 'Go on with the database of storage.url although it has lost what it had confirmed, as after a restore to yesterday: for 30 days nobody is told that a letter was delivered only because it is not there'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from ban" -f -a "add" -d 'Serve nobody from these addresses any more; connections from there end'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from ban" -f -a "list" -d 'List all bans'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from ban" -f -a "remove" -d 'Serve these addresses again'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "show" -d 'Show what operators did, the newest last'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "verify" -d 'Say whether the lines are still as they were written, or which is the first that is not'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "fingerprint" -d 'Print what clients compare before they pin the key'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "show" -d 'Show the key, and the one that is planned'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "rotate" -d 'Plan another key for the running server: clients that connect before the day hear of it, and go on by themselves. All others are cut off then'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "example" -d 'Print a file with every key, its meaning and its default'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Print the configuration that a server would run with here: that of --config, of the environment, and of the flags. Secrets are left out'
complete -c waxwing-server -n "__fish_waxwing_server_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Say whether a server can use a file, in this environment. Key, database and addresses are not looked at'

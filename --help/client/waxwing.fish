# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_waxwing_global_optspecs
    string join \n home= account= country= v/verbose h/help V/version
end

function __fish_waxwing_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_waxwing_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_waxwing_using_subcommand
    set -l cmd (__fish_waxwing_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c waxwing -n "__fish_waxwing_needs_command" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_needs_command" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_needs_command" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_needs_command" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_needs_command" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_needs_command" -s V -l version -d 'Print version'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "register" -d 'Register a phone with a server; may be run again, with the code, after a failure, or when the server has moved, has a new key or has lost the account'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "whoami" -d 'Show phone, id, fingerprint and server of this home'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "contacts" -d 'List everybody whose key is pinned, who has a name, or who is blocked'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "conversations" -d 'List the conversations, and how many letters in each nobody has read'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "requests" -d 'List the strangers who have written, and have no answer'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "accept" -d 'Take a stranger\'s request: their letters are kept from now on as those of others'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "name" -d 'Give somebody a name, which can then stand in place of the phone number'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "search" -d 'Find letters by what they say'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "send" -d 'Send a letter'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "receive" -d 'Print the letters that nobody has printed yet'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "rpc" -d 'Serve programs by JSON-RPC 2.0, a message a line, until their input ends'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "consumers" -d 'List the programs that get letters by `rpc`, and how many letters each is not done with'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "outbox" -d 'Show the letters that the server has not answered for; try them now, or give one up'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "tui" -d 'Show all conversations on a full screen; `waxwing` without a command does the same'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "chat" -d 'Talk with somebody, line by line'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "verify" -d 'Show the safety number to compare with somebody, over the phone or in person'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "history" -d 'Show the letters to and from somebody, and what became of them'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "block" -d 'Discard the letters of somebody from now on, without showing them'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "unblock" -d 'Take the letters of somebody again who was blocked'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "archive" -d 'Put a conversation away until something new is said in it; a muted one stays away'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "unarchive" -d 'Put a conversation back among those that are going on'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "mute" -d 'Show no notices of what is new in a conversation'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "unmute" -d 'Show notices of a conversation again'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "delete" -d 'Delete letters from this home, and give their room on the disk back'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "recover" -d 'Make a home whose log is damaged usable again, without what the damage hides'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "accounts" -d 'List the accounts of this person, add one, or remove one: a home each'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "packet" -d 'Look into packets, make some, check their signatures; for whoever writes an implementation'
complete -c waxwing -n "__fish_waxwing_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -l server -d 'The server; in a home that has one, where it is now [default: as before, or 127.0.0.1:9295]. Where a server has several addresses, with a comma between them, they are tried in turn' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -l server-key -d 'The server\'s public key, from its operator: server.pub.pem' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -l accept-server-key -d 'Trust the key in that file from now on, in place of the one that this home trusts: the fingerprint that was shown' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -l otp -d 'The code that was sent to you' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand register" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand whoami" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand whoami" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand whoami" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand whoami" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand whoami" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand whoami" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand contacts" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand contacts" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand contacts" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand contacts" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand contacts" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand contacts" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand conversations" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand conversations" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand conversations" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand conversations" -l archived -d 'Those that were put away with `archive`'
complete -c waxwing -n "__fish_waxwing_using_subcommand conversations" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand conversations" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand conversations" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand requests" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand requests" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand requests" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand requests" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand requests" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand requests" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand accept" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand accept" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accept" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accept" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand accept" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand accept" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand name" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand name" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand name" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand name" -l remove -d 'Take the name away'
complete -c waxwing -n "__fish_waxwing_using_subcommand name" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand name" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand name" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand search" -l with -d 'In the conversation with one person, by name or phone number' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand search" -l limit -d 'How many letters at most, the newest' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand search" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand search" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand search" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand search" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand search" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand search" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -l wait -d 'How far the letter has to come before the command ends' -r -f -a "stored\t'The server has it and will not lose it'
delivered\t'The recipient\'s client has it'"
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -l timeout -d 'Seconds that the command may take for that; the letter stays queued after [default: 30]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -l key -d 'A name for this letter, which no other letter of this home has. What was sent under this name before is not sent again, and another letter with the same name is an error' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand send" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -l timeout -d 'Seconds that the command may take, waiting for a letter if there is none; with --follow, seconds without one [default: 0, take what is there; with --follow for ever]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -l exec -d 'A program to run for each letter in place of printing it: it gets the text on its standard input, and is done with the letter when it ends with 0' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -l follow -d 'Go on until interrupted, or until --timeout passes without a letter'
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -l json -d 'One JSON object a line; with --exec the program gets it in place of the text'
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand receive" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand rpc" -l socket -d 'Serve programs of this user on a socket instead of standard input and output' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand rpc" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand rpc" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand rpc" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand rpc" -l allow-trust -d 'Let programs say whose keys are believed in: `verify` and `accept_key`'
complete -c waxwing -n "__fish_waxwing_using_subcommand rpc" -l schema -d 'Print what can be called, as an OpenRPC document, and end'
complete -c waxwing -n "__fish_waxwing_using_subcommand rpc" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand rpc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and not __fish_seen_subcommand_from remove help" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and not __fish_seen_subcommand_from remove help" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and not __fish_seen_subcommand_from remove help" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and not __fish_seen_subcommand_from remove help" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and not __fish_seen_subcommand_from remove help" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and not __fish_seen_subcommand_from remove help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and not __fish_seen_subcommand_from remove help" -f -a "remove" -d 'Forget one that does not come back'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and not __fish_seen_subcommand_from remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from remove" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from remove" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from remove" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from remove" -l yes -d 'Do not ask; a program has to say so'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from remove" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Forget one that does not come back'
complete -c waxwing -n "__fish_waxwing_using_subcommand consumers; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -f -a "retry" -d 'Try letters now that the server has refused for a while'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -f -a "drop" -d 'Give a letter up: it is not sent, or not again'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and not __fish_seen_subcommand_from retry drop help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from retry" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from retry" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from retry" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from retry" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from drop" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from drop" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from drop" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from drop" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from drop" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Try letters now that the server has refused for a while'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from help" -f -a "drop" -d 'Give a letter up: it is not sent, or not again'
complete -c waxwing -n "__fish_waxwing_using_subcommand outbox; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand tui" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand tui" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand tui" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand tui" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand tui" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand chat" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand chat" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand chat" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand chat" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand chat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand verify" -l accept -d 'Accept the changed key that has this safety number: the sixty digits that you have compared' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand verify" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand verify" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand verify" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand verify" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand verify" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand verify" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand history" -l limit -d 'How many letters at most, the newest [default: all]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand history" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand history" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand history" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand history" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand history" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand history" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand block" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand block" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand block" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand block" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand block" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand block" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand unblock" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand unblock" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand unblock" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand unblock" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand unblock" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand unblock" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand archive" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand archive" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand archive" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand archive" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand archive" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand archive" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand unarchive" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand unarchive" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand unarchive" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand unarchive" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand unarchive" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand unarchive" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand mute" -l for -d 'For how long, such as 8h or 7d [default: until `unmute`]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand mute" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand mute" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand mute" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand mute" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand mute" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand mute" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand unmute" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand unmute" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand unmute" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand unmute" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand unmute" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand unmute" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l before -d 'Those of these letters that are from before a day, YYYY-MM-DD' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l letter -d 'The one of these letters that has this uid; `history --json` shows it' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l all -d 'All of these letters'
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l strangers -d 'The letters of strangers, read or not: you have never written to them, nor given them a name, nor accepted them, nor accepted or verified their key'
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l unreadable -d 'The letters that could not be opened'
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l yes -d 'Do not ask; a program has to say so'
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand recover" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand recover" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand recover" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand recover" -l json -d 'One JSON object'
complete -c waxwing -n "__fish_waxwing_using_subcommand recover" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -f -a "list" -d 'List them'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -f -a "add" -d 'Make an empty home for one more; `waxwing --account NAME register` goes on'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -f -a "default" -d 'Mean an account from now on when none is named'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -f -a "remove" -d 'Delete the home of an account, with its key and all letters'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and not __fish_seen_subcommand_from list add default remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from list" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from list" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from list" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from list" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from add" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from add" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from add" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from add" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from default" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from default" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from default" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from default" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from default" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from default" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from remove" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from remove" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from remove" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from remove" -l yes -d 'Do not ask; a program has to say so'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from remove" -l json -d 'One JSON object a line'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from help" -f -a "list" -d 'List them'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from help" -f -a "add" -d 'Make an empty home for one more; `waxwing --account NAME register` goes on'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from help" -f -a "default" -d 'Mean an account from now on when none is named'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Delete the home of an account, with its key and all letters'
complete -c waxwing -n "__fish_waxwing_using_subcommand accounts; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -s h -l help -d 'Print help'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -f -a "explain" -d 'Take packets apart: offset, bytes, meaning, and after a ! what is wrong'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -f -a "build" -d 'Make a packet from a description in TOML'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -f -a "verify" -d 'Check signatures under a public key'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and not __fish_seen_subcommand_from explain build verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from explain" -l server-key -d 'Check the server\'s signatures under this public key, PEM' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from explain" -l keylog -d 'Open sealed packets with the keys of this log; see WAXWING_KEYLOG in SECURITY.md' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from explain" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from explain" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from explain" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from build" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from build" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from build" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from build" -l raw -d 'Write the bytes as they are, instead of hexadecimal'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from build" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from verify" -l key -d 'The public key, PEM' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from verify" -l home -d 'Directory with key, contacts and letters [default: that of the account]' -r -F
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from verify" -l account -d 'One of several accounts, by the name that `accounts add` has given it [default: the one that `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from verify" -l country -d 'The country whose numbers may be typed without its code, such as +49' -r
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from verify" -s v -l verbose -d 'Say on standard error what goes on; no letter, code or key is ever shown there'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Take packets apart: offset, bytes, meaning, and after a ! what is wrong'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from help" -f -a "build" -d 'Make a packet from a description in TOML'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Check signatures under a public key'
complete -c waxwing -n "__fish_waxwing_using_subcommand packet; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "register" -d 'Register a phone with a server; may be run again, with the code, after a failure, or when the server has moved, has a new key or has lost the account'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "whoami" -d 'Show phone, id, fingerprint and server of this home'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "contacts" -d 'List everybody whose key is pinned, who has a name, or who is blocked'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "conversations" -d 'List the conversations, and how many letters in each nobody has read'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "requests" -d 'List the strangers who have written, and have no answer'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "accept" -d 'Take a stranger\'s request: their letters are kept from now on as those of others'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "name" -d 'Give somebody a name, which can then stand in place of the phone number'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "search" -d 'Find letters by what they say'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "send" -d 'Send a letter'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "receive" -d 'Print the letters that nobody has printed yet'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "rpc" -d 'Serve programs by JSON-RPC 2.0, a message a line, until their input ends'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "consumers" -d 'List the programs that get letters by `rpc`, and how many letters each is not done with'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "outbox" -d 'Show the letters that the server has not answered for; try them now, or give one up'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "tui" -d 'Show all conversations on a full screen; `waxwing` without a command does the same'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "chat" -d 'Talk with somebody, line by line'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "verify" -d 'Show the safety number to compare with somebody, over the phone or in person'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "history" -d 'Show the letters to and from somebody, and what became of them'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "block" -d 'Discard the letters of somebody from now on, without showing them'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "unblock" -d 'Take the letters of somebody again who was blocked'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "archive" -d 'Put a conversation away until something new is said in it; a muted one stays away'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "unarchive" -d 'Put a conversation back among those that are going on'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "mute" -d 'Show no notices of what is new in a conversation'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "unmute" -d 'Show notices of a conversation again'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "delete" -d 'Delete letters from this home, and give their room on the disk back'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "recover" -d 'Make a home whose log is damaged usable again, without what the damage hides'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "accounts" -d 'List the accounts of this person, add one, or remove one: a home each'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "packet" -d 'Look into packets, make some, check their signatures; for whoever writes an implementation'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and not __fish_seen_subcommand_from register whoami contacts conversations requests accept name search send receive rpc consumers outbox tui chat verify history block unblock archive unarchive mute unmute delete recover accounts packet help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from consumers" -f -a "remove" -d 'Forget one that does not come back'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from outbox" -f -a "retry" -d 'Try letters now that the server has refused for a while'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from outbox" -f -a "drop" -d 'Give a letter up: it is not sent, or not again'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from accounts" -f -a "list" -d 'List them'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from accounts" -f -a "add" -d 'Make an empty home for one more; `waxwing --account NAME register` goes on'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from accounts" -f -a "default" -d 'Mean an account from now on when none is named'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from accounts" -f -a "remove" -d 'Delete the home of an account, with its key and all letters'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from packet" -f -a "explain" -d 'Take packets apart: offset, bytes, meaning, and after a ! what is wrong'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from packet" -f -a "build" -d 'Make a packet from a description in TOML'
complete -c waxwing -n "__fish_waxwing_using_subcommand help; and __fish_seen_subcommand_from packet" -f -a "verify" -d 'Check signatures under a public key'

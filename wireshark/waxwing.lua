-- Waxwing for Wireshark: dissects the packets of PROTOCOL.md on TCP port 9295.
--
-- What no key is needed for is shown as it is. With a file of session keys, which a client writes when
-- WAXWING_KEYLOG names one, sealed packets and one's own tokens are opened too; set it as the
-- preference "Session keys file" or with `-o waxwing.keylog:FILE`.
--
-- Out of reach: Lua has no RSA and no SHA-256 here, so signatures are not checked, packet ids are not
-- computed, and OAEP blocks and letters stay closed. `waxwing packet explain` checks signatures.
--
-- Install: this file and aes256.lua, side by side, into the folder for personal Lua plugins.

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or ""
local aes256 = dofile(here .. "aes256.lua")

local HEADER, SIGNATURE, SPKI, BLOCK = 26, 256, 294, 16
local MAX_SEALED, MAX_TOKENS = 2048, 127

local OPS = {
    [100] = "registration request",
    [101] = "code and public key",
    [102] = "letter",
    [105] = "key question",
    [106] = "reconnect request",
    [150] = "registration rejected",
    [200] = "code issued",
    [201] = "session key, new user",
    [203] = "acknowledgment",
    [204] = "key answer",
    [206] = "session key, reconnect",
    [222] = "closing",
    [244] = "refusal",
    [255] = "end of backlog",
}

local CODES = {
    [1] = "Malformed",
    [2] = "UnknownOp",
    [3] = "UnexpectedOp",
    [4] = "BadSignature",
    [5] = "StaleTimestamp",
    [7] = "UnknownRecipient",
    [8] = "OtpWrong",
    [9] = "OtpExpired",
    [10] = "OtpAttemptsSpent",
    [11] = "RateLimited",
    [12] = "MailboxFull",
    [13] = "WeakKey",
    [14] = "ServerFull",
    [15] = "TooLarge",
    [16] = "StorageUnavailable",
    [17] = "BadPhone",
    [18] = "UnknownUser",
    [19] = "BadSequence",
    [20] = "SessionUnknown",
    [21] = "Busy",
}

local STATUSES = { [0] = "unknown", [1] = "stored", [2] = "delivered", [3] = "expired" }
local REPORTS = { [0] = "confirmation", [1] = "I hold these letters", [2] = "what became of these?" }
local CLOSINGS = {
    [1] = "leaving",
    [2] = "server stopping",
    [3] = "taken over by a newer session",
    [4] = "no progress",
}

-- Which ids each op has: c for a client's, 0 for none; sender, then recipient.
local IDS = {
    [100] = { ["00"] = true },
    [101] = { ["00"] = true },
    [102] = { cc = true },
    [105] = { c0 = true },
    [106] = { c0 = true },
    [150] = { ["00"] = true },
    [200] = { ["00"] = true },
    [201] = { ["0c"] = true },
    [203] = { c0 = true, ["0c"] = true, ["00"] = true },
    [204] = { ["0c"] = true },
    [206] = { ["0c"] = true },
    [222] = { c0 = true, ["0c"] = true },
    [244] = { ["0c"] = true, ["00"] = true },
    [255] = { ["0c"] = true, ["00"] = true },
}

local waxwing = Proto("waxwing", "Waxwing")

local f = {
    sender = ProtoField.uint16("waxwing.sender_id", "Sender"),
    recipient = ProtoField.uint16("waxwing.recipient_id", "Recipient"),
    timestamp = ProtoField.string("waxwing.timestamp", "Timestamp"),
    op = ProtoField.uint8("waxwing.op_code", "Op", base.DEC, OPS),
    size = ProtoField.uint16("waxwing.payload_size", "Payload size"),
    payload = ProtoField.bytes("waxwing.payload", "Payload"),
    signature = ProtoField.bytes("waxwing.digital_signature", "Signature, not checked"),
    oaep = ProtoField.bytes("waxwing.oaep", "OAEP"),
    spki = ProtoField.bytes("waxwing.spki", "Public key"),
    iv = ProtoField.bytes("waxwing.iv", "IV"),
    cbc = ProtoField.bytes("waxwing.cbc", "CBC"),
    token = ProtoField.bytes("waxwing.token", "Token"),
    version = ProtoField.uint8("waxwing.envelope.version", "Envelope version"),
    suite = ProtoField.uint8("waxwing.envelope.suite", "Envelope suite"),
    seq = ProtoField.uint32("waxwing.seq", "Sequence number"),
    nonce = ProtoField.bytes("waxwing.nonce", "Nonce"),
    ttl = ProtoField.uint16("waxwing.ttl_s", "Seconds that the code lives"),
    attempts = ProtoField.uint8("waxwing.attempts", "Guesses"),
    resend = ProtoField.uint16("waxwing.resend_s", "Seconds until another code is sensible"),
    otp_len = ProtoField.uint8("waxwing.otp_len", "Digits of the code"),
    otp = ProtoField.string("waxwing.otp", "Code"),
    rejection = ProtoField.uint8("waxwing.rejection", "Reason", base.DEC, { [1] = "the phone has an account" }),
    report = ProtoField.uint8("waxwing.report", "Kind", base.DEC, REPORTS),
    window = ProtoField.uint8("waxwing.window", "Window"),
    count = ProtoField.uint16("waxwing.count", "Count"),
    letter = ProtoField.bytes("waxwing.packet_id", "Packet id"),
    status = ProtoField.uint8("waxwing.status", "Status", base.DEC, STATUSES),
    user = ProtoField.uint16("waxwing.user_id", "User"),
    effective = ProtoField.string("waxwing.effective", "The server's key from"),
    form = ProtoField.uint8("waxwing.question", "Question", base.DEC, { [1] = "by id", [2] = "by phone" }),
    phone_len = ProtoField.uint8("waxwing.phone_len", "Characters of the phone"),
    phone = ProtoField.string("waxwing.phone", "Phone"),
    pending = ProtoField.uint32("waxwing.backlog", "Letters that were pending"),
    closing = ProtoField.uint8("waxwing.closing", "Reason", base.DEC, CLOSINGS),
    code = ProtoField.uint16("waxwing.code", "Code", base.DEC, CODES),
    refused = ProtoField.uint8("waxwing.refused_op", "Refused op"),
    retry = ProtoField.uint16("waxwing.retry_after_s", "Retry after, seconds"),
    has_id = ProtoField.uint8("waxwing.has_id", "Names a packet"),
    text = ProtoField.string("waxwing.text", "Text", base.UNICODE),
}
for _, field in pairs(f) do waxwing.fields[#waxwing.fields + 1] = field end

local function malformed(name, text)
    return ProtoExpert.new("waxwing." .. name, text, expert.group.MALFORMED, expert.severity.ERROR)
end

local e = {
    timestamp = malformed("bad_timestamp", "Not YYYY-MM-DD HH:MM:SS of a real date"),
    op = malformed("bad_op", "No such op code"),
    ids = malformed("bad_ids", "A packet of this op has other ids"),
    size = malformed("bad_size", "A packet of this op has another size"),
    unsigned = malformed("bad_signature_field", "The signature of a 100 is all zero"),
    spki = malformed("bad_spki", "Not an RSA key of 2048 bits with exponent 65537 in its one form"),
    content = malformed("bad_content", "The content is none of this op"),
    envelope = ProtoExpert.new("waxwing.unknown_envelope", "Unknown version or suite",
        expert.group.UNDECODED, expert.severity.WARN),
    lost = ProtoExpert.new("waxwing.no_packet", "No packet begins here: bytes are missing before it",
        expert.group.SEQUENCE, expert.severity.WARN),
    closed = ProtoExpert.new("waxwing.closed", "No key of the file opens this",
        expert.group.DECRYPTION, expert.severity.NOTE),
}
for _, info in pairs(e) do waxwing.experts[#waxwing.experts + 1] = info end

waxwing.prefs.keylog = Pref.string("Session keys file", "", "What a client wrote with WAXWING_KEYLOG")

local tcp_stream = Field.new("tcp.stream")

-- The keys of the file, and the session that each stream was confirmed under.
local sessions, replies, streams = {}, {}, {}

local function unhex(text)
    return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function load_keys()
    sessions, replies = {}, {}
    local name = waxwing.prefs.keylog
    if name == "" then return end
    local file = io.open(name)
    if not file then
        print("waxwing: cannot read the session keys file " .. name)
        return
    end
    for line in file:lines() do
        local user, nonce, key = line:match("^SESSION (%d+) (%x+) (%x+)%s*$")
        if user and #nonce == 32 and #key == 64 then
            sessions[#sessions + 1] = { user = tonumber(user), nonce = unhex(nonce), key = unhex(key) }
        end
        local reply = line:match("^REPLY (%x+)%s*$")
        if reply and #reply == 64 then replies[#replies + 1] = unhex(reply) end
    end
    file:close()
end

function waxwing.init()
    streams = {}
    load_keys()
end

-- Contents: whether they can be such, and their fields. They are read out of a buffer of their own,
-- which Wireshark shows beside the packet.

local function phone_ends(content, at)
    local len = content:byte(at) or 0
    local phone = content:sub(at + 1, at + len)
    return #phone == len and phone:match("^%+[1-9]%d+$") and len >= 8 and len <= 16 and at + len + 1
end

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_timestamp(text)
    local year, month, day, hour, minute, second =
        text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d) (%d%d):(%d%d):(%d%d)$")
    if not year then return false end
    year, month, day = tonumber(year), tonumber(month), tonumber(day)
    local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
    local days = (month == 2 and leap) and 29 or DAYS[month] or 0
    return day >= 1 and day <= days
        and tonumber(hour) < 24 and tonumber(minute) < 60 and tonumber(second) < 60
end

local function u16(content, at)
    local low, high = content:byte(at, at + 1)
    return high and low + 256 * high
end

local fits = {
    [150] = function(content) return #content == 1 end,
    [200] = function(content)
        local len = content:byte(6)
        return (len == 0 or len == 6) and #content == 6 + len
            and content:sub(7):match("^%d*$") ~= nil
    end,
    [203] = function(content, from_client)
        if not from_client then
            local count = u16(content, 1)
            return count ~= nil and count >= 1 and #content == 2 + 17 * count
        end
        local kind, count = content:byte(1), u16(content, 2)
        if kind == 0 then
            local window = content:byte(2)
            return #content == 2 and window >= 1 and window <= 128
        end
        return count ~= nil
            and (kind == 1 and count <= 112 and #content == 3 + 16 * count
                or kind == 2 and count >= 1 and count <= 110 and #content == 3 + 18 * count)
    end,
    [105] = function(content)
        if content:byte(1) == 1 then return #content == 3 end
        return content:byte(1) == 2 and phone_ends(content, 2) == #content + 1
    end,
    [204] = function(content)
        -- The id 0 is the server's: the moment at which it takes another key, and that key.
        if u16(content, 1) == 0 then
            return #content == 2 + 19 + SPKI and is_timestamp(content:sub(3, 21))
        end
        local ends = phone_ends(content, 3)
        return ends and #content == ends - 1 + SPKI
    end,
    [222] = function(content) return #content == 1 and CLOSINGS[content:byte(1)] ~= nil end,
    [244] = function(content)
        local has_id = content:byte(6)
        return has_id == 0 and #content <= 6 + 128
            or has_id == 1 and #content >= 22 and #content <= 22 + 128
    end,
    [255] = function(content) return #content == 4 end,
}

-- A cursor that adds fields as it goes, and knows when there were too few bytes.
local function walk(tvb, tree)
    local at = 0
    local self = {}
    function self.left() return tvb:len() - at end
    function self.add(field, len)
        if self.left() < len then
            at = tvb:len()
            return nil
        end
        local range = tvb:range(at, len)
        tree:add_le(field, range)
        at = at + len
        return range
    end
    function self.phone()
        local len = self.add(f.phone_len, 1)
        if len and len:uint() > 0 then self.add(f.phone, len:uint()) end
    end
    function self.entries(count, each)
        for _ = 1, count and count:le_uint() or 0 do
            if self.left() == 0 then break end
            each()
        end
    end
    return self
end

local shows = {
    [150] = function(at) at.add(f.rejection, 1) end,
    [200] = function(at)
        at.add(f.ttl, 2)
        at.add(f.attempts, 1)
        at.add(f.resend, 2)
        at.add(f.otp_len, 1)
        if at.left() > 0 then at.add(f.otp, at.left()) end
    end,
    [203] = function(at, from_client)
        if not from_client then
            at.entries(at.add(f.count, 2), function()
                at.add(f.letter, 16)
                at.add(f.status, 1)
            end)
            return
        end
        local kind = at.add(f.report, 1)
        kind = kind and kind:uint()
        if kind == 0 then at.add(f.window, 1) end
        if kind == 1 then at.entries(at.add(f.count, 2), function() at.add(f.letter, 16) end) end
        if kind == 2 then
            at.entries(at.add(f.count, 2), function()
                at.add(f.user, 2)
                at.add(f.letter, 16)
            end)
        end
    end,
    [105] = function(at)
        local form = at.add(f.form, 1)
        form = form and form:uint()
        if form == 1 then at.add(f.user, 2) end
        if form == 2 then at.phone() end
    end,
    [204] = function(at)
        local user = at.add(f.user, 2)
        if user and user:le_uint() == 0 then at.add(f.effective, 19) else at.phone() end
        at.add(f.spki, SPKI)
    end,
    [222] = function(at) at.add(f.closing, 1) end,
    [244] = function(at)
        at.add(f.code, 2)
        at.add(f.refused, 1)
        at.add(f.retry, 2)
        local has_id = at.add(f.has_id, 1)
        if has_id and has_id:uint() == 1 then at.add(f.letter, 16) end
        if at.left() > 0 then at.add(f.text, at.left()) end
    end,
    [255] = function(at) at.add(f.pending, 4) end,
}

local function show_content(packet, tvb, tree)
    shows[packet.op](walk(tvb, tree), packet.from_client)
    local content = tvb:len() > 0 and tvb:raw(0, tvb:len()) or ""
    if not fits[packet.op](content, packet.from_client) then
        tree:add_proto_expert_info(e.content)
    end
end

local function buffer(bytes, name)
    return ByteArray.new(bytes, true):tvb(name)
end

-- Payloads.

local function show_blocks(tvb, tree)
    if tvb:len() < 2 * BLOCK or tvb:len() % BLOCK ~= 0 then
        tree:add_proto_expert_info(e.size)
        return nil
    end
    tree:add(f.iv, tvb:range(0, BLOCK))
    tree:add(f.cbc, tvb:range(BLOCK))
    return tvb:raw(0, BLOCK), tvb:raw(BLOCK, tvb:len() - BLOCK)
end

local function show_reply(packet, tvb, tree)
    local iv, blocks = show_blocks(tvb, tree)
    if not iv then return end
    if tvb:len() ~= 2 * BLOCK then tree:add_proto_expert_info(e.size) end
    for _, key in ipairs(replies) do
        local content = aes256.open(key, iv, blocks)
        if content and fits[packet.op](content) then
            return show_content(packet, buffer(content, "Opened"), tree)
        end
    end
    if #replies > 0 then tree:add_proto_expert_info(e.closed) end
end

-- The sessions that a sealed packet may belong to: that of its stream, else all of its user.
local function candidates(packet)
    local known = streams[packet.stream]
    if known then return { known } end
    local user, found = packet.from_client and packet.sender or packet.recipient, {}
    for _, session in ipairs(sessions) do
        if session.user == user then found[#found + 1] = session end
    end
    return found
end

local function show_sealed(packet, tvb, tree)
    if tvb:len() > MAX_SEALED then tree:add_proto_expert_info(e.size) end
    local iv, blocks = show_blocks(tvb, tree)
    if not iv or tvb:len() > MAX_SEALED then return end
    local known = streams[packet.stream]
    for _, session in ipairs(candidates(packet)) do
        local opened = aes256.open(session.key, iv, blocks)
        local reads = opened and #opened >= 4 and fits[packet.op](opened:sub(5), packet.from_client)
        if opened and #opened >= 4 and (reads or known) then
            streams[packet.stream] = session
            local inside = buffer(opened, "Opened")
            tree:add_le(f.seq, inside:range(0, 4))
            if #opened == 4 then
                tree:add_proto_expert_info(e.content)
                return
            end
            return show_content(packet, inside:range(4):tvb(), tree)
        end
    end
    if #sessions > 0 then tree:add_proto_expert_info(e.closed) end
end

local function show_tokens(packet, tvb, tree)
    local count = (tvb:len() - BLOCK) / BLOCK
    if count < 1 or count > MAX_TOKENS or count % 1 ~= 0 then
        tree:add_proto_expert_info(e.size)
        return
    end
    tree:add(f.iv, tvb:range(0, BLOCK))
    local session = streams[packet.stream]
    for number = 1, count do
        local shown = tree:add(f.token, tvb:range(number * BLOCK, BLOCK))
        local block = session
            and aes256.cbc(session.key, tvb:raw(0, BLOCK), tvb:raw(number * BLOCK, BLOCK))
        local inside = block and buffer(block, "Opened token")
        if block and packet.op == 255 and block:sub(1, 12) == session.nonce:sub(1, 12) then
            shown:add(f.nonce, inside:range(0, 12))
            shown:add_le(f.pending, inside:range(12, 4))
        elseif block and packet.op == 203 and block:byte(16) <= 3 then
            -- Noise looks like this too, in one case of 64.
            shown:add(f.letter, inside:range(0, 15))
            shown:add(f.status, inside:range(15, 1))
        end
    end
end

local function show_reconnect(packet, tvb, tree)
    if tvb:len() == 256 then
        tree:add(f.oaep, tvb:range()):append_text(" (to the server: nonce)")
        return
    end
    if tvb:len() ~= 3 * BLOCK then
        tree:add_proto_expert_info(e.size)
        return
    end
    local iv, blocks = show_blocks(tvb, tree)
    -- Under the key of an earlier session.
    for _, session in ipairs(sessions) do
        local nonce = session.user == packet.sender and aes256.open(session.key, iv, blocks)
        if nonce and #nonce == BLOCK then
            tree:add(f.nonce, buffer(nonce, "Opened"):range())
            return
        end
    end
    if #sessions > 0 then tree:add_proto_expert_info(e.closed) end
end

local SPKI_BEGINS = unhex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100")
local SPKI_ENDS = unhex("0203010001")

local function show_proof(_, tvb, tree)
    if tvb:len() ~= 256 + SPKI then
        tree:add_proto_expert_info(e.size)
        return
    end
    tree:add(f.oaep, tvb:range(0, 256)):append_text(" (to the server)")
    local shown, spki = tree:add(f.spki, tvb:range(256)), tvb:raw(256, SPKI)
    local good = spki:sub(1, 33) == SPKI_BEGINS and spki:sub(-5) == SPKI_ENDS
        and spki:byte(34) >= 0x80 and spki:byte(289) % 2 == 1
    if not good then shown:add_proto_expert_info(e.spki) end
end

local function show_block(_, tvb, tree)
    if tvb:len() ~= 256 then tree:add_proto_expert_info(e.size) end
    if tvb:len() > 0 then tree:add(f.oaep, tvb:range()) end
end

local function show_letter(_, tvb, tree)
    if tvb:len() < 2 then
        tree:add_proto_expert_info(e.size)
        return
    end
    tree:add(f.version, tvb:range(0, 1))
    tree:add(f.suite, tvb:range(1, 1))
    if tvb:range(0, 1):uint() ~= 1 or tvb:range(1, 1):uint() ~= 1 then
        tree:add_proto_expert_info(e.envelope)
        return
    end
    local blocks = tvb:len() - 2 - 256 - BLOCK
    if blocks < 2 * BLOCK or blocks % BLOCK ~= 0 then
        tree:add_proto_expert_info(e.size)
        return
    end
    tree:add(f.oaep, tvb:range(2, 256)):append_text(" (to the recipient: message_key)")
    tree:add(f.iv, tvb:range(258, BLOCK))
    tree:add(f.cbc, tvb:range(274))
end

local function show_payload(packet, tvb, tree)
    local shared = not packet.from_client and packet.recipient == 0
    if packet.op == 101 then
        show_proof(packet, tvb, tree)
    elseif packet.op == 102 then
        show_letter(packet, tvb, tree)
    elseif packet.op == 106 then
        show_reconnect(packet, tvb, tree)
    elseif packet.op == 100 or packet.op == 201 or packet.op == 206 then
        show_block(packet, tvb, tree)
    elseif packet.op == 150 or packet.op == 200 then
        show_reply(packet, tvb, tree)
    elseif packet.op == 244 and shared then
        show_content(packet, tvb, tree)
    elseif (packet.op == 203 or packet.op == 255) and shared then
        show_tokens(packet, tvb, tree)
    else
        show_sealed(packet, tvb, tree)
    end
end

-- Packets.

local function dissect_packet(tvb, pinfo, root)
    local packet = {
        sender = tvb:range(0, 2):le_uint(),
        recipient = tvb:range(2, 2):le_uint(),
        op = tvb:range(23, 1):uint(),
        size = tvb:range(24, 2):le_uint(),
        stream = tcp_stream().value,
    }
    packet.from_client = packet.sender ~= 0
    local name = OPS[packet.op] or "no such op"
    local tree = root:add(waxwing, tvb:range(), ("Waxwing, %d %s"):format(packet.op, name))
    pinfo.cols.protocol = "Waxwing"
    pinfo.cols.info:append((" [%d %s]"):format(packet.op, name))

    tree:add_le(f.sender, tvb:range(0, 2))
    tree:add_le(f.recipient, tvb:range(2, 2))
    local timestamp = tree:add(f.timestamp, tvb:range(4, 19))
    if not is_timestamp(tvb:raw(4, 19)) then timestamp:add_proto_expert_info(e.timestamp) end
    local op = tree:add(f.op, tvb:range(23, 1))
    tree:add_le(f.size, tvb:range(24, 2))
    local payload = tvb:range(HEADER, packet.size)
    local shown = packet.size > 0 and tree:add(f.payload, payload) or tree
    if OPS[packet.op] then
        local ids = (packet.sender == 0 and "0" or "c") .. (packet.recipient == 0 and "0" or "c")
        if not IDS[packet.op][ids] then op:add_proto_expert_info(e.ids) end
        if packet.size > 0 then
            show_payload(packet, payload:tvb(), shown)
        else
            tree:add_proto_expert_info(e.size)
        end
    else
        op:add_proto_expert_info(e.op)
    end
    local signature = tree:add(f.signature, tvb:range(HEADER + packet.size, SIGNATURE))
    if packet.op == 100 and tvb:raw(HEADER + packet.size, SIGNATURE):find("[^%z]") then
        signature:add_proto_expert_info(e.unsigned)
    end
    return tvb:len()
end

-- Where packets begin. Nothing on the stream marks it: a capture that begins in the middle of one, or
-- lacks a segment, finds its feet again by the timestamp, which no ciphertext looks like.

local DIGITS = "%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d"

-- Whether a packet can begin here. No op but a letter has a payload above that of a sealed packet, so
-- such a length is not believed.
local function begins_packet(tvb, offset)
    local op, size = tvb:range(offset + 23, 1):uint(), tvb:range(offset + 24, 2):le_uint()
    return tvb:raw(offset + 4, 19):match("^" .. DIGITS .. "$") ~= nil
        and (op == 102 or size <= MAX_SEALED)
end

-- The next place from `offset` on where a packet begins, or where the bytes that are there might be the
-- beginning of a header whose rest is still to come.
local function next_beginning(tvb, offset)
    local bytes, at = tvb:raw(offset, tvb:len() - offset), 1
    while true do
        local found = bytes:find(DIGITS, at)
        if not found or #bytes - found < 21 then break end
        if found > 4 and begins_packet(tvb, offset + found - 5) then return offset + found - 5 end
        at = found + 1
    end
    return math.max(offset, tvb:len() - HEADER + 1)
end

function waxwing.dissector(tvb, pinfo, root)
    pinfo.cols.info = ""
    local offset = 0
    while offset < tvb:len() do
        local left, wanted = tvb:len() - offset, HEADER
        if left >= HEADER and not begins_packet(tvb, offset) then
            local next = next_beginning(tvb, offset + 1)
            local skipped = root:add(waxwing, tvb:range(offset, next - offset), "Waxwing, no packet")
            skipped:add_proto_expert_info(e.lost)
            pinfo.cols.protocol = "Waxwing"
            pinfo.cols.info:append(" [no packet]")
            offset = next
        else
            if left >= HEADER then
                wanted = HEADER + tvb:range(offset + 24, 2):le_uint() + SIGNATURE
            end
            if left < wanted then
                pinfo.desegment_offset = offset
                pinfo.desegment_len = left < HEADER and DESEGMENT_ONE_MORE_SEGMENT or wanted - left
                return tvb:len()
            end
            dissect_packet(tvb:range(offset, wanted):tvb(), pinfo, root)
            offset = offset + wanted
        end
    end
    return tvb:len()
end

DissectorTable.get("tcp.port"):add(9295, waxwing)

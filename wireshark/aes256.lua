-- AES-256, decryption only, for the dissector of Waxwing: Wireshark offers ciphers to Lua in its newer
-- versions alone. It is written from FIPS 197, is slow, and takes a time that depends on the key, so it
-- is good for looking into one's own captures and for nothing else.

local bxor = bit.bxor

-- GF(2^8) with the polynomial of FIPS 197, by logarithms to the base 3.
local exp, log = {}, {}
do
    local x = 1
    for i = 0, 254 do
        exp[i], log[x] = x, i
        local doubled = x * 2
        if doubled > 255 then doubled = bxor(doubled, 0x11b) end
        x = bxor(doubled, x)
    end
end

local function times(a, b)
    if a == 0 or b == 0 then return 0 end
    return exp[(log[a] + log[b]) % 255]
end

local sbox, inverse = {}, {}
for a = 0, 255 do
    local b = a == 0 and 0 or exp[(255 - log[a]) % 255]
    local s = bxor(b, 0x63)
    for _ = 1, 4 do
        b = b * 2
        if b > 255 then b = b - 255 end
        s = bxor(s, b)
    end
    sbox[a], inverse[s] = s, a
end

-- What InvMixColumns multiplies with.
local by9, by11, by13, by14 = {}, {}, {}, {}
for a = 0, 255 do
    by9[a], by11[a], by13[a], by14[a] = times(a, 9), times(a, 11), times(a, 13), times(a, 14)
end

-- The 240 bytes of the expanded key, counted from 0.
local function expand(key)
    local w = {}
    for i = 0, 31 do w[i] = key:byte(i + 1) end
    local round = 1
    for i = 32, 239, 4 do
        local t = { w[i - 4], w[i - 3], w[i - 2], w[i - 1] }
        if i % 32 == 0 then
            t = { bxor(sbox[t[2]], round), sbox[t[3]], sbox[t[4]], sbox[t[1]] }
            round = round * 2
        elseif i % 32 == 16 then
            t = { sbox[t[1]], sbox[t[2]], sbox[t[3]], sbox[t[4]] }
        end
        for j = 0, 3 do w[i + j] = bxor(w[i - 32 + j], t[j + 1]) end
    end
    return w
end

-- One block, a table of 16 bytes counted from 0, in place.
local function decrypt(w, s)
    for i = 0, 15 do s[i] = bxor(s[i], w[224 + i]) end
    for round = 13, 0, -1 do
        local t = {}
        for column = 0, 3 do
            for row = 0, 3 do
                local moved = inverse[s[column * 4 + row]]
                t[(column + row) % 4 * 4 + row] = bxor(moved, w[round * 16 + (column + row) % 4 * 4 + row])
            end
        end
        if round > 0 then
            for column = 0, 12, 4 do
                local a, b, c, d = t[column], t[column + 1], t[column + 2], t[column + 3]
                t[column] = bxor(by14[a], by11[b], by13[c], by9[d])
                t[column + 1] = bxor(by9[a], by14[b], by11[c], by13[d])
                t[column + 2] = bxor(by13[a], by9[b], by14[c], by11[d])
                t[column + 3] = bxor(by11[a], by13[b], by9[c], by14[d])
            end
        end
        for i = 0, 15 do s[i] = t[i] end
    end
end

local aes256 = {}

-- CBC without a look at the padding. Key, IV and whole blocks are strings; so is what comes out.
function aes256.cbc(key, iv, blocks)
    local w, out, previous = expand(key), {}, iv
    for at = 1, #blocks, 16 do
        local block, s = blocks:sub(at, at + 15), {}
        for i = 0, 15 do s[i] = block:byte(i + 1) end
        decrypt(w, s)
        for i = 0, 15 do out[#out + 1] = string.char(bxor(s[i], previous:byte(i + 1))) end
        previous = block
    end
    return table.concat(out)
end

-- The message in some blocks, or nil if its padding is none.
function aes256.open(key, iv, blocks)
    if #blocks == 0 or #blocks % 16 ~= 0 then return nil end
    local padded = aes256.cbc(key, iv, blocks)
    local count = padded:byte(-1)
    if count < 1 or count > 16 then return nil end
    local message, padding = padded:sub(1, -count - 1), padded:sub(-count)
    return padding == string.char(count):rep(count) and message or nil
end

return aes256

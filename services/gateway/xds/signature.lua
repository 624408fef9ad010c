-- Checks `Authorization: EAS {signature}`: base64 of HMAC-SHA1, keyed by the token, over five lines:
-- POST, Content-MD5, Content-Type and Date as received, and the path with or without its query.
local bit = require("bit")
local band, bor, bxor, bnot = bit.band, bit.bor, bit.bxor, bit.bnot
local rol, tobit, rshift = bit.rol, bit.tobit, bit.rshift
local byte, char, rep, sub = string.byte, string.char, string.rep, string.sub

local function word(number)
  return char(band(rshift(number, 24), 255), band(rshift(number, 16), 255), band(rshift(number, 8), 255),
    band(number, 255))
end

local function sha1(text)
  local length = #text
  text = text .. "\128" .. rep("\0", (55 - length) % 64) .. "\0\0\0\0" .. word(length * 8)
  local h0, h1, h2, h3, h4 = 0x67452301, tobit(0xEFCDAB89), tobit(0x98BADCFE), 0x10325476, tobit(0xC3D2E1F0)
  local w = {}
  for start = 1, #text, 64 do
    for i = 0, 15 do
      local b1, b2, b3, b4 = byte(text, start + i * 4, start + i * 4 + 3)
      w[i] = bor(b1 * 16777216, b2 * 65536, b3 * 256, b4)
    end
    for i = 16, 79 do
      w[i] = rol(bxor(w[i - 3], w[i - 8], w[i - 14], w[i - 16]), 1)
    end
    local a, b, c, d, e = h0, h1, h2, h3, h4
    for i = 0, 79 do
      local f, k
      if i < 20 then
        f, k = bor(band(b, c), band(bnot(b), d)), 0x5A827999
      elseif i < 40 then
        f, k = bxor(b, c, d), 0x6ED9EBA1
      elseif i < 60 then
        f, k = bor(band(b, c), band(b, d), band(c, d)), 0x8F1BBCDC
      else
        f, k = bxor(b, c, d), 0xCA62C1D6
      end
      local t = tobit(rol(a, 5) + f + e + k + w[i])
      e, d, c, b, a = d, c, rol(b, 30), a, t
    end
    h0, h1, h2, h3, h4 = tobit(h0 + a), tobit(h1 + b), tobit(h2 + c), tobit(h3 + d), tobit(h4 + e)
  end
  return word(h0) .. word(h1) .. word(h2) .. word(h3) .. word(h4)
end

local function padded(key, with)
  local out = {}
  for i = 1, 64 do
    out[i] = char(bxor(byte(key, i) or 0, with))
  end
  return table.concat(out)
end

local function hmac(key, text)
  if #key > 64 then
    key = sha1(key)
  end
  return sha1(padded(key, 0x5C) .. sha1(padded(key, 0x36) .. text))
end

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = byte(text, i, i + 2)
    local number = a * 65536 + (b or 0) * 256 + (c or 0)
    for place = 18, 0, -6 do
      local index = band(rshift(number, place), 63) + 1
      out[#out + 1] = sub(digits, index, index)
    end
    if not c then
      out[#out] = "="
    end
    if not b then
      out[#out - 1] = "="
    end
  end
  return table.concat(out)
end

-- Takes the same time wherever the two first differ.
local function same(one, other)
  if #one ~= #other then
    return false
  end
  local difference = 0
  for i = 1, #one do
    difference = bor(difference, bxor(byte(one, i), byte(other, i)))
  end
  return difference == 0
end

-- More than a client signs; a stranger could otherwise have much computed for one request.
local longest = 8192

function envoy_on_request(handle)
  local headers = handle:headers()
  local shown = sub(headers:get("authorization") or "", 5)
  local path = headers:get(":path") or ""
  local lines = {
    "POST", headers:get("content-md5") or "", headers:get("content-type") or "", headers:get("date") or "",
  }
  local before = table.concat(lines, "\n") .. "\n"
  local bare = string.match(path, "^[^?]*")
  local accepted = false
  -- Each token costs a digest, two where there is a query; what cannot be a signature costs none.
  local possible = #shown == 28 and #before + #path <= longest
  local tokens = possible and handle:filterContext():get("tokens") or {}
  for _, token in ipairs(tokens) do
    accepted = same(shown, base64(hmac(token, before .. path))) or accepted
    if bare ~= path then
      accepted = same(shown, base64(hmac(token, before .. bare))) or accepted
    end
  end
  if not accepted then
    handle:respond({ [":status"] = "401", ["www-authenticate"] = 'Bearer realm="easel"' }, "")
  end
end

-- Gives a copy the path at which an instance of the target would see its request.
-- FRONT is what that instance sees in front of what was asked for. WHOLE says whether the path still has
-- what an instance of the called service sees there.
function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path") or "/"
  if WHOLE then
    path = path:gsub("^/api/predict/[^/?]+", "", 1)
  end
  path = FRONT .. path
  if path:sub(1, 1) ~= "/" then
    path = "/" .. path
  end
  headers:replace(":path", path)
end

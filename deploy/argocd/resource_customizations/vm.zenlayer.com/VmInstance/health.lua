-- Healthy      Ready is True: nothing more can be done for this spec now. A change that waits for the
--              next billing cycle is, and so is an object that spec.suspend holds back: an Application
--              with waves would else wait for ever, also for the commit that ends the suspension
-- Progressing  not looked at yet, or the operator is working or waiting
-- Degraded     Stalled: a person has to change something
local function condition(status, wanted)
  for _, one in ipairs(status.conditions or {}) do
    if one.type == wanted then
      return one
    end
  end
  return nil
end

local status = obj.status or {}
local ready = condition(status, "Ready")

if status.observedGeneration ~= obj.metadata.generation or ready == nil then
  return { status = "Progressing", message = "the operator has not looked at this spec yet" }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
local stalled = condition(status, "Stalled")
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end
return { status = "Progressing", message = ready.message }

-- Health of a VmInstance for Argo CD. Put it into the ConfigMap argocd-cm as the value of
-- resource.customizations.health.vm.zenlayer.com_VmInstance
--
--   Healthy      Ready is True: nothing more can be done for this spec now
--   Progressing  not looked at yet, or the operator is working or waiting
--   Suspended    spec.suspend holds the change back
--   Degraded     Stalled: a person has to change something
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
if status.phase == "Suspended" then
  return { status = "Suspended", message = ready.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
local stalled = condition(status, "Stalled")
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end
return { status = "Progressing", message = ready.message }

-- The change that the operator asks about, and no other one: an answer to a question that is no longer
-- asked changes nothing.
local decision = obj.status.pendingDecision
if decision == nil or decision.annotation ~= "vm.zenlayer.com/release=" .. (decision.changeId or "") then
  error("status.pendingDecision asks for another annotation, or for none")
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["vm.zenlayer.com/release"] = decision.changeId
return obj

package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// VmInstance has the fields that the yardstick uses of the operator's CRD.
type VmInstance struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   VmInstanceSpec   `json:"spec"`
	Status VmInstanceStatus `json:"status,omitempty"`
}

// VmInstanceSpec names a machine, its type, and the Secret with the access key.
type VmInstanceSpec struct {
	InstanceID     string `json:"instanceId"`
	InstanceTypeID string `json:"instanceTypeId"`
	Credentials    struct {
		SecretRef struct {
			Name string `json:"name,omitempty"`
		} `json:"secretRef,omitempty"`
	} `json:"credentials,omitempty"`
}

// VmInstanceStatus is all that the yardstick says.
type VmInstanceStatus struct {
	Phase              string `json:"phase,omitempty"`
	ObservedGeneration int64  `json:"observedGeneration,omitempty"`
	Instance           struct {
		TypeID string `json:"typeId,omitempty"`
	} `json:"instance,omitempty"`
}

// DeepCopyObject makes a VmInstance a runtime.Object.
func (in *VmInstance) DeepCopyObject() runtime.Object {
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

// VmInstanceList is what a list of them arrives in.
type VmInstanceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VmInstance `json:"items"`
}

// DeepCopyObject makes a VmInstanceList a runtime.Object.
func (in *VmInstanceList) DeepCopyObject() runtime.Object {
	out := VmInstanceList{TypeMeta: in.TypeMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		out.Items = append(out.Items, *in.Items[i].DeepCopyObject().(*VmInstance))
	}
	return &out
}

func addToScheme(scheme *runtime.Scheme) error {
	version := schema.GroupVersion{Group: "vm.zenlayer.com", Version: "v1alpha1"}
	scheme.AddKnownTypes(version, &VmInstance{}, &VmInstanceList{})
	metav1.AddToGroupVersion(scheme, version)
	return nil
}

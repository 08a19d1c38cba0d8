// status-checks reads a JSON list of VmInstances from standard input and prints, for each, how
// other tools read its status: kstatus (kubectl, Flux), Flux's own rules for conditions, and the
// Argo CD health script given as the one argument, run by Argo CD's engine as in production.
//
// With `customization FOLDER ARGOCD-CM.yaml` it runs the tests of a folder in the layout of Argo CD's
// own resource_customizations, and compares the snippet for Argo CD's ConfigMap with it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/conditions/check"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Verdict is what the tools say of one object.
type Verdict struct {
	Name         string `json:"name"`
	Kstatus      string `json:"kstatus"`
	FluxFailures string `json:"fluxFailures"`
	ArgoHealth   string `json:"argoHealth"`
	ArgoMessage  string `json:"argoMessage"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 4 && os.Args[1] == "customization" {
		return checkCustomization(os.Args[2], os.Args[3])
	}
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: status-checks HEALTH.LUA < OBJECTS.json, or status-checks customization FOLDER ARGOCD-CM.yaml")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var texts []json.RawMessage
	if err := json.Unmarshal(input, &texts); err != nil {
		return fmt.Errorf("standard input must be a JSON list of objects: %w", err)
	}
	verdicts := make([]Verdict, 0, len(texts))
	for index, text := range texts {
		// Through Unstructured's own decoder: plain maps would hold floats where it wants integers.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			return fmt.Errorf("object %d: %w", index, err)
		}
		verdict, err := judge(object, string(script))
		if err != nil {
			return fmt.Errorf("object %s: %w", object.GetName(), err)
		}
		verdicts = append(verdicts, verdict)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func judge(object *unstructured.Unstructured, script string) (Verdict, error) {
	computed, err := status.Compute(object)
	if err != nil {
		return Verdict{}, fmt.Errorf("compute kstatus: %w", err)
	}
	polarity := &check.Conditions{NegativePolarity: []string{"Stalled", "Reconciling"}}
	checker := check.NewChecker(nil, polarity)
	checker.DisableFetch = true
	failures := ""
	failed, _ := checker.Check(context.Background(), conditions.UnstructuredGetter(object))
	if failed != nil {
		failures = failed.Error()
	}
	health, err := lua.VM{}.ExecuteHealthLua(object, script)
	if err != nil {
		return Verdict{}, fmt.Errorf("run the health script: %w", err)
	}
	return Verdict{
		Name:         object.GetName(),
		Kstatus:      computed.Status.String(),
		FluxFailures: failures,
		ArgoHealth:   string(health.Status),
		ArgoMessage:  health.Message,
	}, nil
}

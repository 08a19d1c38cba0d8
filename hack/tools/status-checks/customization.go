// The tests of a folder in the layout of Argo CD's resource_customizations, by Argo CD's own engine with
// the rights that it has in production.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const requestedAt = "vm.zenlayer.com/requested-at"

type healthTests struct {
	Tests []struct {
		InputPath    string `json:"inputPath"`
		HealthStatus struct {
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"healthStatus"`
	} `json:"tests"`
}

type resourceAction struct {
	Name      string `json:"name"`
	IconClass string `json:"iconClass"`
	Disabled  bool   `json:"disabled"`
}

type actionTests struct {
	DiscoveryTests []struct {
		InputPath string           `json:"inputPath"`
		Result    []resourceAction `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action               string `json:"action"`
		InputPath            string `json:"inputPath"`
		ExpectedOutputPath   string `json:"expectedOutputPath"`
		ExpectedErrorMessage string `json:"expectedErrorMessage"`
	} `json:"actionTests"`
}

// checkCustomization runs all tests of a folder, compares the snippet for Argo CD's ConfigMap with the
// folder, and prints a line for each that passed.
func checkCustomization(folder, snippet string) error {
	faults := append(checkHealth(folder), checkActions(filepath.Join(folder, "actions"))...)
	return errors.Join(append(faults, checkSnippet(folder, snippet))...)
}

// checkSnippet reads the snippet as Argo CD reads its ConfigMap.
func checkSnippet(folder, snippet string) error {
	text, err := os.ReadFile(snippet)
	if err != nil {
		return err
	}
	var patch struct {
		Data map[string]string `json:"data"`
	}
	if err := yaml.UnmarshalStrict(text, &patch); err != nil {
		return fmt.Errorf("%s: %w", snippet, err)
	}
	const kind = "vm.zenlayer.com_VmInstance"
	override := v1alpha1.ResourceOverride{Actions: patch.Data["resource.customizations.actions."+kind]}
	actions, err := override.GetActions()
	if err != nil {
		return fmt.Errorf("%s: the actions: %w", snippet, err)
	}
	scripts := map[string]string{
		"health.lua":            patch.Data["resource.customizations.health."+kind],
		"actions/discovery.lua": actions.ActionDiscoveryLua,
	}
	for _, one := range actions.Definitions {
		scripts["actions/"+one.Name+"/action.lua"] = one.ActionLua
	}
	files, err := filepath.Glob(filepath.Join(folder, "actions", "*", "action.lua"))
	if err != nil || len(files)+2 != len(scripts) {
		return fmt.Errorf("%s has %d scripts, the folder %d (%v)", snippet, len(scripts), len(files)+2, err)
	}
	for name, script := range scripts {
		want, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || script != string(want) {
			return fmt.Errorf("%s: %s is another one than in the folder (%v)", snippet, name, err)
		}
	}
	fmt.Println("snippet", len(scripts))
	return nil
}

func checkHealth(folder string) []error {
	var tests healthTests
	script, err := load(folder, "health.lua", "health_test.yaml", &tests)
	if err != nil {
		return []error{err}
	}
	var faults []error
	for _, test := range tests.Tests {
		object, err := objectOf(folder, test.InputPath)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		health, err := lua.VM{}.ExecuteHealthLua(object, script)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("health of %s: %w", test.InputPath, err))
		case string(health.Status) != test.HealthStatus.Status || health.Message != test.HealthStatus.Message:
			faults = append(faults, fmt.Errorf("health of %s is %s (%s), not %s (%s)", test.InputPath,
				health.Status, health.Message, test.HealthStatus.Status, test.HealthStatus.Message))
		default:
			fmt.Printf("health %s %s\n", test.InputPath, health.Status)
		}
	}
	return faults
}

func checkActions(folder string) []error {
	var tests actionTests
	discovery, err := load(folder, "discovery.lua", "action_test.yaml", &tests)
	if err != nil {
		return []error{err}
	}
	var faults []error
	note := func(err error, name string) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		} else {
			fmt.Println(name)
		}
	}
	for _, test := range tests.DiscoveryTests {
		note(checkDiscovery(folder, discovery, test.InputPath, test.Result), "discovery "+test.InputPath)
	}
	for _, test := range tests.ActionTests {
		got, err := act(folder, test.Action, test.InputPath)
		if want := test.ExpectedErrorMessage; want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				err = fmt.Errorf("the error is %v, not %q", err, want)
			} else {
				err = nil
			}
		} else if err == nil {
			err = isAs(got, folder, test.ExpectedOutputPath)
		}
		note(err, "action "+test.Action+" "+test.InputPath)
	}
	return faults
}

func checkDiscovery(folder, script, input string, want []resourceAction) error {
	object, err := objectOf(folder, input)
	if err != nil {
		return err
	}
	found, err := lua.VM{}.ExecuteResourceActionDiscovery(object, []string{script})
	if err != nil {
		return err
	}
	got := make([]resourceAction, 0, len(found))
	for _, one := range found {
		got = append(got, resourceAction{Name: one.Name, IconClass: one.IconClass, Disabled: one.Disabled})
	}
	sort.Slice(got, func(i, j int) bool { return got[i].Name < got[j].Name })
	sort.Slice(want, func(i, j int) bool { return want[i].Name < want[j].Name })
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the actions are %v, not %v", got, want)
	}
	return nil
}

// act gives the object that an action makes of another one.
func act(folder, action, input string) (*unstructured.Unstructured, error) {
	script, err := os.ReadFile(filepath.Join(folder, action, "action.lua"))
	if err != nil {
		return nil, err
	}
	object, err := objectOf(folder, input)
	if err != nil {
		return nil, err
	}
	impacted, err := lua.VM{}.ExecuteResourceAction(object, string(script), nil)
	if err != nil {
		return nil, err
	}
	if len(impacted) != 1 || impacted[0].K8SOperation != lua.PatchOperation {
		return nil, fmt.Errorf("it is to patch the object, and nothing else: %v", impacted)
	}
	return impacted[0].UnstructuredObj, nil
}

// isAs compares two objects, whatever the time is that an action has written.
func isAs(got *unstructured.Unstructured, folder, expected string) error {
	want, err := objectOf(folder, expected)
	if err != nil {
		return err
	}
	annotations := got.GetAnnotations()
	if _, err := time.Parse(time.RFC3339, annotations[requestedAt]); err == nil {
		annotations[requestedAt] = "0001-01-01T00:00:00Z"
		got.SetAnnotations(annotations)
	}
	// Lua's numbers have one type.
	texts := make([]string, 0, 2)
	for _, one := range []*unstructured.Unstructured{got, want} {
		text, err := yaml.Marshal(one.Object)
		if err != nil {
			return err
		}
		texts = append(texts, string(text))
	}
	if texts[0] != texts[1] {
		return fmt.Errorf("the object is\n%s, not\n%s", texts[0], texts[1])
	}
	return nil
}

func load(folder, script, tests string, into any) (string, error) {
	source, err := os.ReadFile(filepath.Join(folder, script))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(folder, tests))
	if err != nil {
		return "", err
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return "", fmt.Errorf("%s: %w", tests, err)
	}
	return string(source), nil
}

func objectOf(folder, path string) (*unstructured.Unstructured, error) {
	text, err := os.ReadFile(filepath.Join(folder, path))
	if err != nil {
		return nil, err
	}
	json, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(json)
}

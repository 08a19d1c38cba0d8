// Command yardstick is what the operator's benches are compared with: the smallest operator for the
// same CRD that one would write with controller-runtime. Each look at an object is one
// DescribeInstances call for its id; where the type differs, ModifyInstanceType is called at once.
//
// It protects nothing: no slot, no intent, no fence, no limit of its own requests, no look at plans
// or prices. A lost answer orders twice. It is here to be measured, never to be deployed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// How soon a change is looked at again.
const inFlight = 5 * time.Second

type reconciler struct {
	client.Client
	cloud *cloud
	drift time.Duration
}

// Reconcile looks at one object: the machine is of the declared type, or is changed to it.
func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var object VmInstance
	if err := r.Get(ctx, req.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	var secret corev1.Secret
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Spec.Credentials.SecretRef.Name}
	if err := r.Get(ctx, name, &secret); err != nil {
		return ctrl.Result{}, fmt.Errorf("read the Secret: %w", err)
	}
	key := accessKey{id: string(secret.Data["accessKeyId"]), password: string(secret.Data["accessKeyPassword"])}
	current, err := r.cloud.instanceType(ctx, key, object.Spec.InstanceID)
	if err != nil {
		return ctrl.Result{}, err
	}
	phase, next := "InSync", r.drift
	if current != object.Spec.InstanceTypeID {
		// Ordered once for each declaration, as far as the status tells.
		if object.Status.Phase != "Changing" || object.Status.ObservedGeneration != object.Generation {
			if err := r.cloud.modify(ctx, key, object.Spec.InstanceID, object.Spec.InstanceTypeID); err != nil {
				return ctrl.Result{}, err
			}
			log.FromContext(ctx).Info("ordered", "from", current, "to", object.Spec.InstanceTypeID)
		}
		phase, next = "Changing", inFlight
	}
	return ctrl.Result{RequeueAfter: next}, r.publish(ctx, &object, phase, current)
}

// publish writes the status where it says something new.
func (r *reconciler) publish(ctx context.Context, object *VmInstance, phase, current string) error {
	status := VmInstanceStatus{Phase: phase, ObservedGeneration: object.Generation}
	status.Instance.TypeID = current
	if object.Status == status {
		return nil
	}
	before := object.DeepCopyObject().(client.Object)
	object.Status = status
	return r.Status().Patch(ctx, object, client.MergeFrom(before))
}

func run() error {
	endpoint := flag.String("endpoint", "", "the provider's API")
	drift := flag.Duration("drift-interval", 5*time.Minute, "pause between looks at an object in sync")
	workers := flag.Int("concurrency", 16, "passes at once")
	listen := flag.String("http-listen", "127.0.0.1:8080", "address of /metrics")
	probes := flag.String("probe-listen", "0", "address of /readyz")
	elect := flag.Bool("leader-elect", false, "work only while this process holds the Lease")
	namespace := flag.String("leader-namespace", "", "namespace of that Lease")
	flag.Parse()
	ctrl.SetLogger(zap.New())

	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := addToScheme(scheme); err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: *listen},
		HealthProbeBindAddress:        *probes,
		LeaderElection:                *elect,
		LeaderElectionID:              "yardstick.vm.zenlayer.com",
		LeaderElectionNamespace:       *namespace,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	if err := manager.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(manager).
		For(&VmInstance{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).
		Complete(&reconciler{Client: manager.GetClient(), cloud: newCloud(*endpoint, *workers), drift: *drift})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

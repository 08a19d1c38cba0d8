// Command release makes an OCI layout of a folder, and one layout for several architectures of several such
// layouts. The same files give the same bytes on every machine: names are sorted, owners and times
// fixed, and the compressor is the module that go.mod pins, not that of the Go release.
//
//	release pack --root FOLDER --architecture amd64 --created EPOCH --version V --revision R OUTPUT
//	release join OUTPUT LAYOUT...
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/gzip"
)

// The user of deploy/, by number: there is no /etc/passwd.
const user = "65532:65532"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) > 0 && arguments[0] == "pack" {
		return pack(arguments[1:])
	}
	if len(arguments) > 2 && arguments[0] == "join" {
		return join(arguments[1], arguments[2:])
	}
	return fmt.Errorf("usage: release pack FLAGS OUTPUT | release join OUTPUT LAYOUT...")
}

func pack(arguments []string) error {
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	root := flags.String("root", "", "the folder that becomes /")
	architecture := flags.String("architecture", "", "such as amd64")
	created := flags.Int64("created", 0, "seconds since 1970")
	version := flags.String("version", "", "of the operator")
	revision := flags.String("revision", "", "of its source")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	when := time.Unix(*created, 0).UTC()
	layer, err := layerOf(*root, when)
	if err != nil {
		return err
	}
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:     layer,
		MediaType: types.OCILayer,
		History:   v1.History{Created: v1.Time{Time: when}, CreatedBy: "hack/image.sh"},
	})
	if err != nil {
		return err
	}
	image, err = configured(image, *architecture, when)
	if err != nil {
		return err
	}
	annotations := map[string]string{
		"org.opencontainers.image.title":    "zenlayer-vm-operator",
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.version":  *version,
		"org.opencontainers.image.revision": *revision,
	}
	image = mutate.Annotations(image, annotations).(v1.Image)
	platform := v1.Platform{OS: "linux", Architecture: *architecture}
	return write(flags.Arg(0), mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
}

func configured(image v1.Image, architecture string, when time.Time) (v1.Image, error) {
	before, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	after := before.DeepCopy()
	after.Created = v1.Time{Time: when}
	after.OS, after.Architecture = "linux", architecture
	after.Config = v1.Config{
		User:         user,
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Entrypoint:   []string{"/vm-operator"},
		Cmd:          []string{"run"},
	}
	return mutate.ConfigFile(mutate.ConfigMediaType(image, types.OCIConfigJSON), after)
}

// layerOf packs a folder. WalkDir goes through names in their order.
func layerOf(root string, when time.Time) (v1.Layer, error) {
	var packed bytes.Buffer
	compressor, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(compressor)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return add(archive, path, name, when)
	})
	if err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := compressor.Close(); err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
}

// add writes one file or folder: root's, readable by all, and executable if its owner may execute it.
func add(archive *tar.Writer, path, name string, when time.Time) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	header := &tar.Header{Format: tar.FormatUSTAR, Name: filepath.ToSlash(name), ModTime: when, Mode: 0o644}
	if info.Mode()&0o100 != 0 {
		header.Mode = 0o755
	}
	if info.IsDir() {
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
		return archive.WriteHeader(header)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a folder", path)
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = archive.Write(content)
	return err
}

func join(output string, parts []string) error {
	var images []mutate.IndexAddendum
	for _, part := range parts {
		index, err := layout.ImageIndexFromPath(part)
		if err != nil {
			return err
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			return err
		}
		for _, one := range manifest.Manifests {
			image, err := index.Image(one.Digest)
			if err != nil {
				return err
			}
			images = append(images, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: one.Platform}})
		}
	}
	return write(output, images...)
}

// write makes a layout, checks it, and prints the digest of it and of each image, with what is pulled for that.
func write(output string, images ...mutate.IndexAddendum) error {
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), images...)
	path, err := layout.Write(output, index)
	if err != nil {
		return err
	}
	written, err := path.ImageIndex()
	if err != nil {
		return err
	}
	if err := validate.Index(written); err != nil {
		return err
	}
	digest, err := written.Digest()
	if err != nil {
		return err
	}
	manifest, err := written.IndexManifest()
	if err != nil {
		return err
	}
	fmt.Printf("%s index\n", digest)
	for _, one := range manifest.Manifests {
		size, err := pulled(written, one.Digest)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s/%s %d bytes\n", one.Digest, one.Platform.OS, one.Platform.Architecture, size)
	}
	return nil
}

func pulled(index v1.ImageIndex, digest v1.Hash) (int64, error) {
	image, err := index.Image(digest)
	if err != nil {
		return 0, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return 0, err
	}
	size := manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size, nil
}

package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeKey writes the public half of a new key, and returns its path and the private half.
func writeKey(t *testing.T) (string, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	content, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pub")
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: content})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, private
}

func TestTheTrustedKeyIsAFlagOrAVariable(t *testing.T) {
	path, private := writeKey(t)
	for _, test := range []struct {
		flag, variable string
		set            bool
		said           string
	}{
		{path, "", false, ""},
		{"", path, true, ""},
		{path, "/nowhere", true, ""}, // the flag counts
		{"", "", true, "is blank"},
		{"/nowhere", "", false, "reading the trusted key"},
		{os.Args[0], "", false, "no Ed25519 public key"},
	} {
		args := []string{"--model", "x"}
		if test.flag != "" {
			args = append(args, "--trusted-key", test.flag)
		}
		environment := func(name string) (string, bool) {
			return test.variable, test.set && name == keyVariable
		}
		settings, err := parse(args, environment, io.Discard)
		switch {
		case test.said != "":
			if err == nil || !strings.Contains(err.Error(), test.said) {
				t.Errorf("%+v: got %v", test, err)
			}
		case err != nil:
			t.Errorf("%+v: got %v", test, err)
		case !settings.predictor.TrustedKey.Equal(private.Public()):
			t.Errorf("%+v: got another key", test)
		}
	}
	settings, err := parse([]string{"--model", "x"}, func(string) (string, bool) { return "", false }, io.Discard)
	if err != nil || settings.predictor.TrustedKey != nil {
		t.Errorf("without a key: %v, %v", settings, err)
	}
}

// A model that nobody trusted signed is refused in the process that tries it, and at the start.
func TestUnsignedModelsAreRefused(t *testing.T) {
	path, private := writeKey(t)
	folder := models.Copy(t, "model")
	environment := func(string) (string, bool) { return "", false }
	settings, err := parse([]string{"--model", folder, "--trusted-key", path}, environment, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(settings); err == nil || !strings.Contains(err.Error(), "contract.sig") {
		t.Errorf("an unsigned model gives %v", err)
	}
	contract, err := os.ReadFile(filepath.Join(folder, "contract.json"))
	if err != nil {
		t.Fatal(err)
	}
	signature := ed25519.Sign(private, contract)
	if err := os.WriteFile(filepath.Join(folder, "contract.sig"), signature, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := check(settings); err != nil {
		t.Errorf("a signed model gives %v", err)
	}
}

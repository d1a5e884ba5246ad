package artifact

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// signed returns a copy of a model that a new key signed, and the key.
func signed(t *testing.T) (string, ed25519.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	folder := models.Copy(t, "model")
	contract, err := os.ReadFile(filepath.Join(folder, contractName))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, signatureName), ed25519.Sign(private, contract), 0o600))
	return folder, public
}

func TestSignedModels(t *testing.T) {
	folder, key := signed(t)
	for _, trusted := range []ed25519.PublicKey{key, nil} {
		if _, err := Load(folder, trusted); err != nil {
			t.Error(err)
		}
	}
	path := filepath.Join(folder, signatureName)
	signature, err := os.ReadFile(path)
	must(t, err)
	_, another := signed(t)
	for name, test := range map[string]struct {
		key    ed25519.PublicKey
		change func()
	}{
		"by another key": {another, func() {}},
		"longer":         {key, func() { must(t, os.WriteFile(path, append(signature, '\n'), 0o600)) }},
		"missing":        {key, func() { must(t, os.Remove(path)) }},
		"linked": {key, func() {
			elsewhere := filepath.Join(t.TempDir(), "signature")
			must(t, os.WriteFile(elsewhere, signature, 0o600))
			must(t, os.Remove(path))
			must(t, os.Symlink(elsewhere, path))
		}},
	} {
		_ = os.Remove(path)
		must(t, os.WriteFile(path, signature, 0o600))
		test.change()
		_, err := Load(folder, test.key)
		var refused *Refused
		if !errors.As(err, &refused) || refused.Code != CodeUntrusted || refused.Name != signatureName {
			t.Errorf("%s: got %v: expected that it is untrusted", name, err)
		}
		_ = os.Remove(path)
	}
}

func TestASignatureCoversTheWholeContract(t *testing.T) {
	folder, key := signed(t)
	replace(t, filepath.Join(folder, contractName), `"temperature": 1.5`, `"temperature": 1.6`)
	_, err := Load(folder, key)
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != CodeUntrusted {
		t.Errorf("got %v: expected that it is untrusted", err)
	}
}

func TestReadKey(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	of := func(kind string, content []byte, err error) []byte {
		must(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	}
	content, err := x509.MarshalPKIXPublicKey(public)
	good := of("PUBLIC KEY", content, err)
	content, err = x509.MarshalPKCS8PrivateKey(private)
	for name, text := range map[string][]byte{
		"private": of("PRIVATE KEY", content, err), "empty": nil, "text": []byte("key"),
		"no key": of("PUBLIC KEY", []byte("x"), nil),
	} {
		path := filepath.Join(t.TempDir(), "key")
		must(t, os.WriteFile(path, text, 0o600))
		if key, err := ReadKey(path); err == nil {
			t.Errorf("%s: got the key %x", name, key)
		}
		must(t, os.WriteFile(path, good, 0o600))
		if key, err := ReadKey(path); err != nil || !key.Equal(public) {
			t.Errorf("got %x, %v", key, err)
		}
	}
}

package artifact

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
)

const (
	signatureName = "contract.sig"
	maxKeyBytes   = 16 << 10
)

// ReadKey returns the Ed25519 public key of a PEM file, as cnnlab sign --new-key writes it.
func ReadKey(path string) (ed25519.PublicKey, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted key: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxKeyBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the trusted key: %w", err)
	}
	if block, _ := pem.Decode(content); block != nil && block.Type == "PUBLIC KEY" {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if key, is := parsed.(ed25519.PublicKey); err == nil && is {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%s holds no Ed25519 public key: expected the PEM file that ends with "+
		".pub, as cnnlab sign --new-key writes it", path)
}

// checkSignature refuses a contract that the owner of a key did not sign. As the contract holds the
// hash of every other file, its signature covers the folder.
func checkSignature(folder string, contract []byte, key ed25519.PublicKey) error {
	refused := &Refused{CodeUntrusted, folder, signatureName, "is not the signature of its contract by " +
		"the trusted key"}
	file, err := openRegular(folder, signatureName)
	if err != nil {
		return refused
	}
	defer file.Close()
	signature, err := io.ReadAll(io.LimitReader(file, ed25519.SignatureSize+1))
	if err != nil || !ed25519.Verify(key, contract, signature) {
		return refused
	}
	return nil
}

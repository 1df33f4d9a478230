// Command notecheck opens a signed note with golang.org/x/mod/sumdb/note and prints the verifier key of every signature
// that verified. Cosignatures and ML-DSA signatures are verified by github.com/transparency-dev/formats. With --proof it
// checks a tlog-proof with formats/proof and merkle/proof.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	err := error(nil)
	if os.Args[1] == "--proof" {
		err = checkProof(os.Args[2], os.Args[3], os.Args[4:])
	} else {
		err = check(os.Args[1], os.Args[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// check opens the note in a file, with one of the keys after the other; one that verifies nothing is an error.
func check(file string, keys []string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, key := range keys {
		verifier, err := verifierOf(key)
		if err != nil {
			return fmt.Errorf("%.80s: %w", key, err)
		}
		if _, err := note.Open(raw, note.VerifierList(verifier)); err != nil {
			return fmt.Errorf("%.80s: %w", key, err)
		}
		fmt.Println(key)
	}
	return nil
}

// verifierOf chooses by the type in the key: 4 is a cosignature, 6 is ML-DSA-44.
func verifierOf(key string) (note.Verifier, error) {
	parts := strings.SplitN(key, "+", 3)
	public, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil {
		return nil, err
	}
	switch {
	case len(public) > 0 && public[0] == 4:
		return formats.NewVerifierForCosignatureV1(key)
	case len(public) > 0 && public[0] == 6:
		return formats.NewMLDSAVerifier(key)
	default:
		return note.NewVerifier(key)
	}
}

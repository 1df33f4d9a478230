package main

import (
	"fmt"
	"os"

	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// checkProof reads a tlog-proof and the entry it is about from files; prints where the entry is and how many keys signed.
// The first key is that of the log, the others are those of witnesses; one that did not sign is an error here.
func checkProof(file, entryFile string, keys []string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(entryFile)
	if err != nil {
		return err
	}
	var given proof.TLogProof
	if err := given.Unmarshal(raw); err != nil {
		return err
	}
	verifiers := make([]note.Verifier, 0, len(keys))
	for _, key := range keys {
		verifier, err := verifierOf(key)
		if err != nil {
			return fmt.Errorf("%.80s: %w", key, err)
		}
		verifiers = append(verifiers, verifier)
	}
	checkpoint, _, signed, err := formats.ParseCheckpoint(given.Checkpoint, verifiers[0].Name(), verifiers[0], verifiers[1:]...)
	if err != nil {
		return err
	}
	if len(signed.Sigs) != len(keys) {
		return fmt.Errorf("%d of %d keys signed", len(signed.Sigs), len(keys))
	}
	path := make([][]byte, 0, len(given.Hashes))
	for i := range given.Hashes {
		path = append(path, given.Hashes[i][:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, given.Index, checkpoint.Size, leaf, path, checkpoint.Hash); err != nil {
		return err
	}
	fmt.Println(given.Index, checkpoint.Size, len(signed.Sigs))
	return nil
}

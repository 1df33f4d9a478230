//go:build tools

package omniwitness

import _ "github.com/transparency-dev/witness/cmd/omniwitness"

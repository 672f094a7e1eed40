package cdnsource_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openMemory(*testing.T) cdnsource.Bucket { return cdnsource.NewMemory() }

func TestMemory(t *testing.T) { bucketsuite.Run(t, openMemory) }

func TestStoreOnMemory(t *testing.T) { bucketsuite.RunStore(t, openMemory) }

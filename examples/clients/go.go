// With the client that openapi-generator generates: see tests/clients/go.
package main

import (
	"context"
	"fmt"
	"os"

	"example.com/app/countersign"
)

func main() {
	configuration := countersign.NewConfiguration()
	configuration.Servers[0].URL = os.Getenv("BASE_URL")
	api := countersign.NewAPIClient(configuration).SessionsAPI

	credentials := countersign.NewCredentials(os.Getenv("EMAIL"), os.Getenv("PASSWORD"))
	credentials.SetTransport(countersign.BEARER)
	session, _, err := api.LogIn(context.Background()).Credentials(*credentials).Execute()
	if err != nil {
		panic(err)
	}

	ctx := context.WithValue(context.Background(), countersign.ContextAccessToken, session.GetToken())
	counted, _, err := api.CountVisit(ctx).Execute()
	if err != nil {
		panic(err)
	}
	fmt.Println("visit number", counted.Visits)
	api.LogOut(ctx).Execute()
}
